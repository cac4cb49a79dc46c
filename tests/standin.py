"""A stand-in accelerator: tensors that say they live on another device, and are computed by the CPU all the same.

Where a program mixes tensors of the two devices, or hands one to the wrong place, it fails as it would on a GPU; what
is copied from one device to the other is counted. It follows the way of PyTorch's own fake tensors: a tensor subclass
that holds the real one, and a dispatch mode that unwraps, computes and wraps again.
"""

import contextlib
from unittest import mock

import torch
from accelerate.state import AcceleratorState, PartialState
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from sft_helpers import environment

DEVICE = "standin"
aten = torch.ops.aten
_setup_privateuseone_for_python_backend(DEVICE)  # before the first backward pass, which counts the devices there are


class OnDevice(torch.Tensor):
    """A tensor of the stand-in device; ``held`` is the CPU's tensor behind it."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held):
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=torch.device(DEVICE, 0))
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation} was called while the stand-in device was off")


class Accelerator(TorchDispatchMode):
    """While it is on, tensors can live on the stand-in device.

    Attributes
    ----------
    up, down : list of int
        Sizes of the tensors copied to the device and from it.
    asked : int
        How often a single number was asked for (``item()``): each makes a GPU wait.
    operations : int
        Operations that ran on the device.
    """

    def __init__(self):
        super().__init__()
        self.forget()

    def forget(self):
        self.up, self.down, self.asked, self.operations = [], [], 0, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        flat, form = pytree.tree_flatten((args, kwargs))
        target = kwargs.get("device")
        asked_for_device = target is not None and torch.device(target).type == DEVICE
        on_device = any(isinstance(each, OnDevice) for each in flat)
        if not on_device and not asked_for_device:
            return operation(*args, **kwargs)
        self.operations += 1
        if operation is aten._local_scalar_dense.default:
            self.asked += 1
            return args[0].held.item()
        if operation not in (aten._to_copy.default, aten.copy_.default):
            for each in flat:
                if isinstance(each, torch.Tensor) and not isinstance(each, OnDevice) and each.dim():
                    raise RuntimeError(f"{operation}: a tensor of shape {tuple(each.shape)} is still on the CPU")
        held = ["cpu" if isinstance(each, torch.device) else each.held if isinstance(each, OnDevice) else each
                for each in flat]
        held_args, held_kwargs = pytree.tree_unflatten(held, form)
        held_kwargs.pop("pin_memory", None)
        result = operation(*held_args, **held_kwargs)
        if operation is aten._to_copy.default:
            if on_device and target is not None and not asked_for_device:
                self.down.append(args[0].numel())
                return result
            if not on_device:
                self.up.append(args[0].numel())
        if operation is aten.copy_.default and isinstance(args[0], OnDevice) != isinstance(args[1], OnDevice):
            (self.up if isinstance(args[0], OnDevice) else self.down).append(args[0].numel())
        return self._wrapped(operation._schema, args, kwargs, result)

    @staticmethod
    def _wrapped(schema, args, kwargs, result):
        """What was written to in place is handed back itself; all other tensors are new ones."""
        def written(one):
            return one.alias_info is not None and one.alias_info.is_write

        if schema.returns and written(schema.returns[0]):
            names = [argument.name for argument in schema.arguments]
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            found = [given[argument.name] for argument in schema.arguments if written(argument)]
            return found[0] if len(schema.returns) == 1 else tuple(found)
        return pytree.tree_map_only(torch.Tensor, OnDevice, result)


@contextlib.contextmanager
def accelerator():
    """Make the stand-in device the one that the course's helpers and Accelerate find."""
    device = torch.device(DEVICE, 0)
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        with (mock.patch.object(environment, "device", lambda: device), Accelerator() as mode,
              mock.patch.object(PartialState, "default_device", property(lambda _state: device))):
            yield mode
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
