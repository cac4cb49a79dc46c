"""Files that are whole or not there, and checksums: what feature caches and checkpoints stand on."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import psutil
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

NAME_DIGITS = 16  # of a file's SHA-256 in its name
KEPT_CHECKPOINTS = 2  # should the newest be damaged, the one before it is used


class StorageError(OSError):
    """A file cannot be written or read; the message names it, the reason and the way out."""


def digest(*parts):
    """Return the SHA-256 of tensors, texts and numbers, in hexadecimal."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, torch.Tensor):
            found.update(part.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        else:
            found.update(json.dumps(part).encode())
        found.update(b"\0")
    return found.hexdigest()


def weights_digest(module, only_frozen=False):
    chosen = {name: weight for name, weight in module.named_parameters()
              if not (only_frozen and weight.requires_grad)}
    return digest(sorted(chosen), *(chosen[name] for name in sorted(chosen)))


def write(tensors, about, path, named_by_sum=False):
    """Write a safetensors file so that it is there whole or not at all.

    Parameters
    ----------
    tensors : dict from str to Tensor
    about : dict from str to str, or None
        Kept in the file's header.
    path : Path
    named_by_sum : bool
        Add the beginning of the file's SHA-256 to its name.

    Returns
    -------
    Path
        The file's name in the end.

    Raises
    ------
    StorageError
    """
    def put(part):
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, metadata=about)

    return _whole(put, Path(path), named_by_sum)


def write_text(content, path):
    """Write a text file (UTF-8) so that it is there whole or not at all; raises StorageError as ``write``."""
    return _whole(lambda part: part.write_text(content, encoding="utf-8", newline=""), Path(path))


def _whole(put, path, named_by_sum=False):
    part = path.with_suffix(f".{os.getpid()}.part")  # several processes may write the same features at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(part)
        with open(part, "rb+") as file:
            if named_by_sum:
                path = path.with_stem(f"{path.stem}-{hashlib.file_digest(file, 'sha256').hexdigest()[:NAME_DIGITS]}")
            os.fsync(file.fileno())
        part.replace(path)
        if os.name == "posix":  # the name, too, has to reach the disk
            directory = os.open(path.parent, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"{path.name} could not be written into {path.parent} ({error}); what was there before is "
                            "whole. Make room there, or name another folder, and run the same call again.") from error
    finally:  # nothing is there any more, unless an error or an interrupt came before
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def fits_its_name(path):
    """Return whether a file that ``write`` named by its sum still has the content of that name."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:NAME_DIGITS] == path.stem.split("-")[-1]


class Checkpoints:
    """A folder that holds the last checkpoints of one run, each whole or not at all.

    A checkpoint is written under another name and renamed when it is on the disk; its name ends in the
    beginning of its SHA-256, so that one that was cut short or altered is noticed.

    Parameters
    ----------
    folder : str or Path
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._known = set(self._paths())  # of a run that came before; what comes later is ours, or another run's

    def _paths(self):
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)

    def save(self, step, tensors, state):
        """Write a checkpoint and drop all but the last ``KEPT_CHECKPOINTS``.

        Raises
        ------
        StorageError
            It cannot be written, or another run has begun to write into the folder.
        """
        for path in self._paths():
            if path not in self._known:
                raise StorageError(f"Another run writes its checkpoints into {self.folder} as well: {path.name} is not "
                                   "of this one. They are left as they are; name another folder, or run the same call "
                                   "again when the other run has ended.")
        text = torch.frombuffer(bytearray(json.dumps(state).encode()), dtype=torch.uint8)  # a header holds little
        self._known.add(write({**tensors, "state": text}, None, self.folder / f"step-{step:08d}.safetensors",
                              named_by_sum=True))
        for old in self._paths()[KEPT_CHECKPOINTS:]:
            old.unlink(missing_ok=True)

    def load(self):
        """Return the newest whole checkpoint as (tensors, state), or (None, None).

        Raises
        ------
        StorageError
            One cannot be read, or was written by another version; neither says that it is damaged, and it stays.
        """
        for leftover in self.folder.glob("*.part"):
            writer = leftover.stem.split(".")[-1]  # another run's process may be at it still
            if not writer.isdigit() or int(writer) == os.getpid() or not psutil.pid_exists(int(writer)):
                leftover.unlink(missing_ok=True)
        paths = self._paths()
        for path in paths:
            try:
                tensors = load_file(path) if fits_its_name(path) else None
            except OSError as error:
                raise StorageError(f"The checkpoint {path.name} in {self.folder} cannot be read "
                                   f"({error.strerror or error}); it is left as it is. Make it readable, or name "
                                   "another folder.") from error
            except SafetensorError:
                tensors = None
            if tensors is not None:
                if "state" not in tensors:
                    raise StorageError(f"The checkpoint {path.name} in {self.folder} was written by another version of "
                                       "this course; it is left as it is. Name another folder.")
                return tensors, json.loads(tensors.pop("state").numpy().tobytes())
            rest = "the one before it is used" if path != paths[-1] else "training starts from the beginning"
            print(f"The checkpoint {path.name} is damaged; {rest}.")
            path.unlink(missing_ok=True)  # in the way of the next one of this step
        return None, None
