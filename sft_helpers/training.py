"""One training loop for all lessons, on 🤗 Accelerate: bucketing, schedules, checkpoints, resume.

Lessons 08 and 09 build it step by step; the sections below stand in the order in which a run meets them.
"""

import contextlib
import copy
import math
import re
import tempfile
import time
import types
from dataclasses import asdict, dataclass, field
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, find_executable_batch_size
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask
from transformers.models.bert.modeling_bert import BertSelfAttention

from . import environment, evaluation, features, plots, resources
from .models import fingerprint, out_of_memory
from .storage import Checkpoints, StorageError, digest, weights_digest

METRICS = ("accuracy", "f1", "loss")
SCHEDULES = ("linear", "constant")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
FUSED = ("cpu", "cuda", "mps")  # devices whose AdamW updates all weights in one go


class TrainingError(RuntimeError):
    """Training cannot start or go on; the message says why and the way out."""


class NotFiniteError(TrainingError):
    """A loss or gradient became infinite or no number; ``epoch`` tells whose weights the model keeps (0: its first)."""

    def __init__(self, message, epoch):
        super().__init__(message)
        self.epoch = epoch


@dataclass(frozen=True)
class Config:
    """The settings of a run.

    Attributes
    ----------
    epochs : int
    batch_size : int
        Examples per update, whatever the number of processes or parts.
    accumulation : int
        Parts that a batch is cut into, to save memory; their gradients are added up to the batch's.
    lr, head_lr : float
        Highest learning rate of the backbone, and of the head (None: the same).
    layer_decay : float
        Each layer's learning rate as a share of that of the layer above it; the topmost has lr, the embeddings count
        as one layer more. 1 gives all the same.
    weight_decay : float
        As in AdamW; biases and norms are left out.
    label_smoothing : float
        Share of the target spread evenly over all labels in training; the validation loss is the plain one.
    warmup : float
        Share of the updates over which the learning rate rises from near zero.
    schedule : {"linear", "constant"}
        After the warm-up: down to zero, or as it is.
    max_grad_norm : float or None
        Longer gradients are shortened to this length; None leaves them.
    patience : int or None
        Stop after so many epochs without a better validation score; None never stops early.
    metric : {"accuracy", "f1", "loss"}
        Measured on validation after each epoch; the weights of the best epoch are kept.
    precision : {"auto", "fp32", "bf16", "fp16"}
        "auto": bf16 on a GPU that has it, fp16 with loss scaling on an older one, else fp32.
    bucketing : bool
        Put texts of like length into one batch, so that little padding is computed.
    seed : int
        For the order of the batches and for dropout.

    Raises
    ------
    ValueError
        A value outside its range; the message names it.
    """

    epochs: int = 4
    batch_size: int = 32
    accumulation: int = 1
    lr: float = 1e-4
    head_lr: float | None = 1e-3
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    warmup: float = 0.1
    schedule: str = "linear"
    max_grad_norm: float | None = 1.0
    patience: int | None = None
    metric: str = "accuracy"
    precision: str = "auto"
    bucketing: bool = True
    seed: int = 0

    def __post_init__(self):
        def counts(number):
            return isinstance(number, Integral) and number >= 1

        def real(number, top=math.inf):
            return isinstance(number, Real) and 0 <= number <= top and number < math.inf
        checks = {"epochs": counts(self.epochs), "batch_size": counts(self.batch_size),
                  "accumulation": counts(self.accumulation) and self.accumulation <= self.batch_size,
                  "lr": real(self.lr), "head_lr": self.head_lr is None or real(self.head_lr),
                  "layer_decay": real(self.layer_decay, 1) and self.layer_decay > 0,
                  "weight_decay": real(self.weight_decay),
                  "label_smoothing": real(self.label_smoothing, 1) and self.label_smoothing < 1,
                  "warmup": real(self.warmup, 1), "schedule": self.schedule in SCHEDULES,
                  "max_grad_norm": self.max_grad_norm is None or (isinstance(self.max_grad_norm, Real)
                                                                  and self.max_grad_norm > 0),
                  "patience": self.patience is None or counts(self.patience), "metric": self.metric in METRICS,
                  "precision": self.precision in PRECISIONS, "bucketing": isinstance(self.bucketing, (bool, np.bool_)),
                  "seed": isinstance(self.seed, Integral) and 0 <= self.seed < 2**32}
        for name, fine in checks.items():
            if not fine:
                raise ValueError(f"{name} = {getattr(self, name)!r} makes no sense; see help(training.Config).")
        for name, value in asdict(self).items():
            if isinstance(value, np.generic):  # would not go into JSON
                object.__setattr__(self, name, value.item())


@dataclass
class History:
    """What a run was like.

    Attributes
    ----------
    epochs : list of dict
        For each epoch ``epoch``, ``step``, ``train_loss`` (mean over its examples, as minimised), and with validation
        data ``loss``, ``accuracy``, ``f1``.
    steps : list of dict
        For each update ``step``, ``loss``, ``lr`` (the backbone's, if it is trained), ``grad_norm`` (before clipping).
    metric : str
    best_epoch : int or None
        Counted from 1; the model holds its weights when ``fit`` returns.
    precision, device : str
    seconds : float
        Of this call, not of an interrupted one before it.
    """

    metric: str
    precision: str
    device: str
    epochs: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    best_epoch: int | None = None
    seconds: float = 0.0

    @property
    def best(self):
        """The best epoch's entry of ``epochs``; the last one without validation data."""
        return self.epochs[self.best_epoch - 1 if self.best_epoch else -1]

    def plot(self):
        """Return a figure: loss per update and per epoch, and the validation score."""
        return plots.training_curves(self)


# ---- The order of the examples -------------------------------------------------------------------------------


def batches(lengths, batch_size, seed, epoch, bucketing=True):
    """Return one epoch's batches: every row once, in an order that only seed and epoch decide.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each row.
    batch_size, seed, epoch : int
    bucketing : bool
        Sort by length within pools of shuffled rows (at most 50 batches, at least 4 pools where there are enough
        rows), cut these into batches, shuffle the batches.

    Returns
    -------
    list of ndarray of int
        Row numbers; only one batch may be smaller than the others.
    """
    random = np.random.default_rng([seed, epoch])
    lengths = np.asarray(lengths)
    order = random.permutation(len(lengths))
    if bucketing:
        pool = batch_size * max(1, min(50, len(order) // (4 * batch_size)))
        order = np.concatenate([part[np.argsort(lengths[part], kind="stable")]
                                for part in np.split(order, range(pool, len(order), pool))])
    found = np.split(order, range(batch_size, len(order), batch_size))
    if bucketing:
        found = [found[i] for i in random.permutation(len(found))]
    return found


class _Texts:
    """Labelled texts as token ids, kept in a file and handed out in padded batches."""

    def __init__(self, rows, model, path):
        tokenizer, longest = model.tokenizer, model.max_length

        def tokenize(part):
            ids = tokenizer(part["text"], truncation=True, max_length=longest)["input_ids"]
            return {"input_ids": ids, "length": [len(one) for one in ids]}

        try:  # the file is this run's own; unnamed, `map` takes a checksum of the whole tokenizer to find it again
            self.tokens = rows.map(tokenize, batched=True, remove_columns=rows.column_names, cache_file_name=str(path),
                                   new_fingerprint=path.stem).with_format("numpy")
        except OSError as error:
            raise StorageError(f"The tokens could not be written into {path.parent} ({error.strerror or error}); make "
                               "room there, or name another folder in the environment variable TMPDIR.") from error
        self.lengths = np.asarray(self.tokens["length"][:])
        self.labels = torch.tensor(list(rows["label"]))
        self.padding = tokenizer.pad_token_id

    def batch(self, rows, multiple):
        """Return input_ids and attention_mask, shape (rows, tokens), tokens a multiple of ``multiple``."""
        width = -(-int(self.lengths[rows].max()) // multiple) * multiple
        input_ids = torch.full((len(rows), width), self.padding)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for place, ids in enumerate(self.tokens[rows]["input_ids"]):
            input_ids[place, :len(ids)] = torch.as_tensor(ids)
            mask[place, :len(ids)] = 1
        return input_ids, mask


class _Features:
    """Labelled vectors of a frozen backbone."""

    def __init__(self, rows, vectors):
        self.vectors, self.labels = vectors, torch.tensor(list(rows["label"]))
        self.lengths = np.ones(len(rows), dtype=int)

    def batch(self, rows, multiple):
        return (self.vectors[rows],)


# ---- The run -------------------------------------------------------------------------------------------------


def fit(model, train, validation=None, config=None, checkpoints=None, checkpoint_steps=None, feature_folder=None):
    """Train what may be trained of a classifier; it ends in eval mode with the best epoch's weights.

    Parameters
    ----------
    model : models.TextClassifier
        With a frozen backbone its features are computed once, and the head is trained on them.
    train, validation : datasets.Dataset
        With the columns ``text`` and ``label``. Without validation data the last weights are kept.
    config : Config, optional
    checkpoints : str or Path, optional
        Folder for checkpoints. The same call after an interruption goes on where the last one stands, and on a CPU
        ends with the very weights of a run that was not interrupted.
    checkpoint_steps : int, optional
        Updates between two checkpoints, beside those after each epoch.
    feature_folder : str or Path, optional
        Keep a frozen backbone's features on disk as well.

    Returns
    -------
    History

    Raises
    ------
    TrainingError
        A loss that is not finite, a checkpoint of another run, a precision that the device has not, no memory for
        a single example. The model keeps its best weights so far.
    StorageError
        A checkpoint that cannot be written (a full disk, say; those before it stay whole) or read, another run that
        writes into the same folder, or no room for the texts' tokens.
    MemoryError
        No memory for a frozen backbone to read a single text.

    References
    ----------
    Loshchilov and Hutter: Decoupled Weight Decay Regularization, ICLR 2019. Howard and Ruder: Universal Language Model
    Fine-tuning for Text Classification, ACL 2018 (``layer_decay``). Szegedy et al.: Rethinking the
    Inception Architecture for Computer Vision, CVPR 2016 (label smoothing). Accelerate documentation, "Gradient
    accumulation" and "Memory utilities".
    """
    return _Run(model, train, validation, config or Config(), checkpoints, checkpoint_steps, feature_folder).fit()


class _Run:
    def __init__(self, model, train, validation, config, checkpoints, checkpoint_steps, feature_folder):
        began = time.perf_counter()
        if not len(train):
            raise TrainingError("There are no training examples.")
        if validation is not None and not len(validation):
            raise TrainingError("There are no validation examples; give None to train without.")
        if config.patience and validation is None:
            raise TrainingError("patience needs validation examples: without them no epoch is better than another.")
        if checkpoint_steps is not None and not (checkpoints and isinstance(checkpoint_steps, Integral)
                                                 and checkpoint_steps >= 1):
            raise TrainingError(f"checkpoint_steps = {checkpoint_steps!r} makes no sense: it is 1 or more, and goes "
                                "with a folder for checkpoints.")
        _check(train, "training", len(model.id2label))
        if validation is not None:
            _check(validation, "validation", len(model.id2label))
        self.config, self.began, self.classifier = config, began, model
        device = environment.device()
        precision = _precision(config.precision, device)
        AcceleratorState._reset_state()  # Accelerate keeps the precision of the first run in a process otherwise
        self.accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision=precision.replace("fp32", "no"))
        self.history = History(config.metric, precision, environment.device_label())

        frozen = not any(weight.requires_grad for weight in model.backbone.parameters())
        self.sharded = self.accelerator.distributed_type == DistributedType.FSDP
        if self.sharded and not self.accelerator.is_fsdp2:
            raise TrainingError("Sharded training needs FSDP's second version: accelerate launch --fsdp_version 2 …")
        model.to("cpu" if self.sharded and not frozen else self.accelerator.device)
        # what is written here and mapped into memory takes none of it: tokens, the best weights
        self.folder = tempfile.TemporaryDirectory(prefix="training-", ignore_cleanup_errors=True)
        if frozen:
            def prepared(rows, _name):
                return _Features(rows, features.compute(model, rows["text"], feature_folder))
        else:
            def prepared(rows, name):
                return _Texts(rows, model, Path(self.folder.name) / f"{name}.arrow")
        self.train = prepared(train, "train")
        self.validation = prepared(validation, "validation") if validation else None
        trained = model.head if frozen else model
        self.kept = _trained_weights(trained)
        if self.sharded:  # a copy is cut up among the processes; the model itself stays whole, and gets the result
            trained = copy.deepcopy(trained)
        optimizer = torch.optim.AdamW(self._groups(_trained_weights(trained), frozen), fused=device.type in FUSED)
        self.model, self.optimizer = self.accelerator.prepare(trained, optimizer)
        self.weights = _trained_weights(trained)  # only now: cutting up puts others in their place

        self.epoch, self.step, self.in_epoch = 0, 0, 0  # epochs done, updates done, updates done in this epoch
        self.loss_sum, self.best_score, self.without_gain = 0.0, -math.inf, 0
        self.highest_lr = config.head_lr if frozen and config.head_lr is not None else config.lr
        self.ahead = None  # data, rows and inputs of the next batch, where a GPU leaves time to prepare them
        self._keep_best(self._copy())
        self.steps_per_epoch = -(-len(self.train.labels) // config.batch_size)
        self.checkpoints = checkpoints and Checkpoints(checkpoints)
        self.checkpoint_steps = checkpoint_steps
        if self.checkpoints:
            self.identity = {**asdict(config), "precision": precision,
                             "training data": digest(list(train["text"]), list(train["label"])),
                             "validation data": validation and digest(list(validation["text"]),
                                                                       list(validation["label"])),
                             "trained weights": digest({name: list(weight.shape)
                                                         for name, weight in self.weights.items()}),
                             "frozen weights": weights_digest(model, only_frozen=True),
                             "backbone": digest(resources.sha256(model.source.folder / "model.safetensors"),
                                                fingerprint(model.backbone, model.tokenizer)),
                             "labels": digest(list(model.id2label.values())),
                             "pooling": model.pooling, "max_length": model.max_length}
            self._restore()

    def _groups(self, weights, frozen):
        """Return the optimizer's groups: head or layer of the backbone, decayed or not."""
        config, groups = self.config, {}
        layers = self.classifier.backbone.config.num_hidden_layers
        for name, weight in weights.items():
            head = frozen or name.startswith("head.")
            layer = re.search(r"encoder\.layer\.(\d+)\.", name)
            below = layers - 1 - int(layer[1]) if layer else layers * name.startswith("backbone.embeddings.")
            lr = config.head_lr if head and config.head_lr is not None else config.lr * config.layer_decay**below
            decay = config.weight_decay if weight.ndim > 1 else 0.0  # not on biases and norms
            groups.setdefault((lr, decay), []).append(weight)
        return [{"params": members, "lr": lr, "highest_lr": lr, "weight_decay": decay}
                for (lr, decay), members in groups.items()]

    def fit(self):
        config, processes = self.config, self.accelerator.num_processes
        part = -(-config.batch_size // (processes * config.accumulation))
        fits = [part]

        def halve():
            fits[0] //= 2
            if fits[0] and processes == 1:
                print(f"Out of memory: going on with {fits[0]} examples at a time, {config.batch_size} an update as "
                      "before.")
            return fits[0] if processes == 1 else 0

        def epochs(part):
            try:
                self._epochs(part)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                raise torch.OutOfMemoryError("The device is out of memory.") from error  # words that Accelerate knows

        quick = self.accelerator.device.type == "cpu" and self.history.precision == "bf16"
        as_before = _quicken(self.model) if quick and isinstance(self.train, _Texts) else lambda: None
        run = find_executable_batch_size(epochs, starting_batch_size=part, reduce_batch_size_fn=halve)
        try:
            run()
        except RuntimeError as error:
            if "No executable batch size" not in str(error):
                raise
            raise TrainingError("There is not enough memory for a single example; shorten the texts (max_length) or "
                                "train fewer layers." if processes == 1 else
                                "Out of memory; start again with a larger accumulation.") from error
        finally:
            as_before()
            self._put(self._best, self.kept)
            self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
            self.classifier.to(self.accelerator.device).eval()  # a run that was cut up left it on the CPU
            self.optimizer.zero_grad(set_to_none=True)
        self.history.seconds = time.perf_counter() - self.began
        return self.history

    def _epochs(self, part):
        config, total = self.config, self.config.epochs * len(self.train.labels)
        with environment.progress(None, "training", total, " examples", self.accelerator.is_main_process) as bar:
            while self.epoch < config.epochs and not self._patience_lost():
                plan = batches(self.train.lengths, config.batch_size, config.seed, self.epoch, config.bucketing)
                bar.update(self.epoch * len(self.train.labels) + sum(map(len, plan[:self.in_epoch])) - bar.n)
                self.model.train()
                while self.in_epoch < len(plan):
                    self._update(*plan[self.in_epoch:self.in_epoch + 2], part=part)
                    bar.update(len(plan[self.in_epoch - 1]))
                    bar.set_postfix(self._shown(), refresh=False)
                    if self.checkpoint_steps and self.step % self.checkpoint_steps == 0 and self.in_epoch < len(plan):
                        self._save()
                self._end_epoch(part)
                self._save()

    def _parts(self, rows, part):
        """This process's share of a batch, cut up; processes with fewer rows go along with empty parts."""
        mine = rows[self.accelerator.process_index::self.accelerator.num_processes]
        most = -(-len(rows) // self.accelerator.num_processes)
        return [mine[i:i + part] for i in range(0, most, part)]

    def _update(self, rows, following=None, *, part):
        """One update of the weights from one batch, cut into parts and shared among the processes."""
        accelerator, config = self.accelerator, self.config
        # Dropout depends on seed, update and process alone: nothing of it has to be stored for a resume.
        torch.manual_seed(int(np.random.SeedSequence((config.seed, self.step, accelerator.process_index))
                              .generate_state(1)[0]))
        parts = self._parts(rows, part)
        self.optimizer.zero_grad()
        total = torch.zeros((), device=accelerator.device)
        for place, chosen in enumerate(parts):
            last = place == len(parts) - 1
            with contextlib.nullcontext() if last else accelerator.no_sync(self.model):
                # the mean over the batch, whatever the parts; DDP takes the mean over the processes once more
                loss = self._loss(chosen, rows) * (accelerator.num_processes / len(rows))
                accelerator.backward(loss)
            total += loss.detach() / accelerator.num_processes
        if following is not None and accelerator.device.type != "cpu":  # a GPU is still at work: read ahead meanwhile
            chosen = self._parts(following, part)[0]
            self.ahead = (self.train, chosen, self._inputs(self.train, chosen))
        value = accelerator.reduce(total, "sum").item()
        if not math.isfinite(value):
            self._not_finite(f"The loss became {value}")
        factor = self._schedule(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest_lr"] * factor
        norm = _whole(accelerator.clip_grad_norm_(list(self.weights.values()), config.max_grad_norm or math.inf)).item()
        if not math.isfinite(norm) and accelerator.scaler is None:  # the scaler skips such a step, and scales down
            self._not_finite(f"The gradient became {norm}")
        self.optimizer.step()
        self.step, self.in_epoch, self.loss_sum = self.step + 1, self.in_epoch + 1, self.loss_sum + value * len(rows)
        self.history.steps.append({"step": self.step, "loss": value, "lr": self.highest_lr * factor, "grad_norm": norm})

    def _loss(self, chosen, rows):
        """The summed loss of some rows; of none (more processes than rows) a zero that has all gradients."""
        asked = chosen if len(chosen) else rows[:1]
        logits = self._logits(self.train, asked)
        labels = self.train.labels[asked].to(self.accelerator.device)
        loss = nn.functional.cross_entropy(logits.float(), labels, reduction="sum",
                                           label_smoothing=self.config.label_smoothing)
        return loss if len(chosen) else 0.0 * loss

    def _logits(self, data, rows):
        return self.model(*self._inputs(data, rows))

    def _inputs(self, data, rows):
        """The padded rows on the device; those that were read ahead are there."""
        ahead, self.ahead = self.ahead, None
        if ahead and ahead[0] is data and np.array_equal(ahead[1], rows):
            return ahead[2]
        # a GPU's matrix units like widths that are multiples of 8 in half precision; a CPU gains nothing by them
        multiple = 8 if self.history.precision != "fp32" and self.accelerator.device.type == "cuda" else 1
        return [tensor.to(self.accelerator.device) for tensor in data.batch(rows, multiple)]

    def _schedule(self, step):
        """The share of the highest learning rate at an update, counted from 0."""
        steps = self.config.epochs * self.steps_per_epoch
        warmup = round(self.config.warmup * steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return 1.0 if self.config.schedule == "constant" else (steps - step) / (steps - warmup)

    def _end_epoch(self, part):
        entry = {"epoch": self.epoch + 1, "step": self.step, "train_loss": self.loss_sum / len(self.train.labels)}
        better = True
        if self.validation:
            entry.update(self._evaluate(part))
            score = entry[self.config.metric] * (-1 if self.config.metric == "loss" else 1)
            better = score > self.best_score
        if better:
            self._keep_best(self._copy())
            if self.validation:
                self.best_score, self.history.best_epoch = score, self.epoch + 1
        self.without_gain = 0 if better else self.without_gain + 1
        self.history.epochs.append(entry)
        self.epoch, self.in_epoch, self.loss_sum = self.epoch + 1, 0, 0.0

    @torch.no_grad()
    def _evaluate(self, part):
        """Loss, accuracy and macro F1 on the validation data."""
        self.model.eval()
        labels, processes = self.validation.labels, self.accelerator.num_processes
        scores = torch.zeros(len(labels), len(self.classifier.id2label), device=self.accelerator.device)
        order = np.argsort(self.validation.lengths, kind="stable")
        mine, most = order[self.accelerator.process_index::processes], -(-len(order) // processes)
        for chosen in (mine[i:i + 2 * part] for i in range(0, most, 2 * part)):
            logits = self._logits(self.validation, chosen if len(chosen) else order[:1])
            scores[torch.as_tensor(chosen, device=scores.device)] = logits[:len(chosen)].float()
        scores = self.accelerator.reduce(scores, "sum").cpu()
        loss = nn.functional.cross_entropy(scores, labels).item()
        if not math.isfinite(loss):
            self._not_finite(f"The validation loss became {loss}", after=True)
        predicted = scores.argmax(dim=1)
        return {"loss": loss, "accuracy": (predicted == labels).float().mean().item(),
                "f1": evaluation.macro_f1(labels, predicted)}

    def _patience_lost(self):
        return bool(self.config.patience and self.without_gain >= self.config.patience)

    def _shown(self):
        shown = {"loss": f"{self.history.steps[-1]['loss']:.3f}"}
        if self.history.epochs and self.validation:
            shown[self.config.metric] = f"{self.history.epochs[-1][self.config.metric]:.3f}"
        return shown

    def _not_finite(self, what, after=False):
        config = self.config
        head_lr = config.lr if config.head_lr is None else config.head_lr
        if not all(torch.isfinite(_whole(weight)).all() for weight in self.weights.values()):
            cause = (f"the last update threw the weights out of range, so the learning rate ({config.lr:g}, head "
                     f"{head_lr:g}) is too high; try a tenth of it")
        elif isinstance(self.train, _Features) and not torch.isfinite(self.train.vectors).all():
            cause = "the backbone gives features that are not finite, so its weights are damaged"
        elif self.history.precision == "fp16":
            cause = "16-bit numbers end at 65,504; try precision='bf16' or 'fp32'"
        else:
            cause = (f"the model's outputs grew out of range; try a lower learning rate than {config.lr:g} (head "
                     f"{head_lr:g})")
        best = self.history.best_epoch or (0 if self.validation else self.epoch)
        kept = f"those of epoch {best}" if best else "those it started with"
        when = f"after update {self.step}" if after else f"at update {self.step + 1}"
        raise NotFiniteError(f"{what} {when} (epoch {self.epoch + 1}). Likely cause: {cause}. The model keeps its best "
                             f"weights, {kept}.", best)

    # -- state: copied, saved, restored

    def _copy(self):
        return {name: _whole(weight.detach()).cpu() for name, weight in self.weights.items()}

    def _keep_best(self, values):
        """Keep weights as the best so far: in a file, where they take no memory, if there is room for it."""
        self.best = Path(self.folder.name) / "best.safetensors"
        try:
            save_file({name: value.contiguous() for name, value in values.items()}, self.best)
        except (OSError, SafetensorError):
            self.best = {name: value.clone() for name, value in values.items()}

    def _best(self, name):
        """One of the best weights; read alone, for what is mapped of a file counts as memory until it is let go."""
        if not isinstance(self.best, Path):
            return self.best[name]
        with safe_open(self.best, framework="pt") as file:
            return file.get_tensor(name)

    @torch.no_grad()
    def _put(self, value_of, weights):
        for name, weight in weights.items():
            weight.copy_(_shared_like(weight, value_of(name)))

    def _save(self):
        if not self.checkpoints:
            return
        if self.accelerator.is_main_process or self.sharded:  # what is cut up can only be gathered by all together
            tensors = {f"model.{name}": _whole(weight.detach()).cpu() for name, weight in self.weights.items()}
            tensors.update({f"best.{name}": self._best(name) for name in self.weights})
            for name, weight in self.weights.items():
                for key, value in self.optimizer.state[weight].items():
                    tensors[f"optimizer.{name}.{key}"] = _whole(value.detach()).cpu()
        if self.accelerator.is_main_process:
            state = {name: getattr(self, name) for name in self._STATE}
            state.update(identity=self.identity, epochs=self.history.epochs, steps=self.history.steps,
                         best_epoch=self.history.best_epoch,
                         scaler=self.accelerator.scaler and self.accelerator.scaler.state_dict())
            self.checkpoints.save(self.step, tensors, state)
        self.accelerator.wait_for_everyone()

    _STATE = ("epoch", "step", "in_epoch", "loss_sum", "best_score", "without_gain")

    def _restore(self):
        tensors = state = failed = None
        with self.accelerator.main_process_first():
            try:
                tensors, state = self.checkpoints.load()
            except StorageError as error:  # raised in here it would leave the others waiting
                failed = error
        if failed:
            raise failed
        if state is None:
            return
        changed = [name for name, value in self.identity.items() if state["identity"].get(name) != value]
        if changed:
            told = ", ".join(f"{name} {state['identity'].get(name)} → {self.identity[name]}"
                             if name in asdict(self.config) else name for name in changed)
            raise TrainingError(f"The checkpoints in {self.checkpoints.folder} belong to another run; changed since: "
                                f"{told}. Name another folder, or delete this one.")
        self._put(lambda name: tensors[f"model.{name}"], self.weights)
        self._keep_best({name: tensors[f"best.{name}"] for name in self.weights})
        for name, weight in self.weights.items():
            prefix = f"optimizer.{name}."
            stored = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            self.optimizer.state[weight] = {key: value.clone() if key == "step" else _shared_like(weight, value.clone())
                                            for key, value in stored.items()}
        for name in self._STATE:
            setattr(self, name, state[name])
        self.history.epochs, self.history.steps = state["epochs"], state["steps"]
        self.history.best_epoch = state["best_epoch"]
        if state["scaler"] and self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if self.accelerator.is_main_process:
            print(f"Going on from update {self.step} (epoch {self.epoch + bool(self.in_epoch)}), as the checkpoint "
                  "says.")


def _check(rows, name, count):
    """Refuse rows that cannot be learnt from: what a device would say of them names no row."""
    if missing := [column for column in ("text", "label") if column not in rows.column_names]:
        raise TrainingError(f"The {name} data lack the column {missing[0]!r}; rename_column gives another its name.")
    for row, (text, label) in enumerate(zip(rows["text"][:], rows["label"][:], strict=True)):
        if not isinstance(text, str):
            raise TrainingError(f"Row {row} of the {name} data holds no text, but {text!r}; leave it out.")
        if isinstance(label, bool) or not isinstance(label, Integral) or not 0 <= label < count:
            raise TrainingError(f"Row {row} of the {name} data has the label {label!r}; those of this model are the "
                                f"whole numbers from 0 to {count - 1}.")


def _trained_weights(module):
    return {name: weight for name, weight in module.named_parameters() if weight.requires_grad}


def _whole(tensor):
    """A tensor that is cut up among processes, put together again; any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _shared_like(weight, value):
    """A whole tensor on the weight's device, cut up as the weight is."""
    value = value.to(weight.device)
    return distribute_tensor(value, weight.device_mesh, weight.placements) if isinstance(weight, DTensor) else value


def _quicken(model):
    """Change what costs a CPU much time in bf16, and return a function that changes it back.

    Dropout throws its dice one after the other, an eighth of a step; ``_dropped`` throws four at a time. Attention
    written out is quicker than PyTorch's fused one, which on a CPU is none while dropout is on. And what goes into
    attention becomes bf16 once, not for query, key and value each, which keeps a copy less of it as well. With fp32
    all stays as it is, so that a run agrees with a plain loop to the last digits.
    """
    def forward(part, x):
        return _dropped(x, part.p) if part.training and part.p else x

    dropouts = [part for part in model.modules() if type(part) is nn.Dropout]
    for part in dropouts:
        part.forward = types.MethodType(forward, part)
    (bert,) = (part for part in model.modules() if isinstance(part, PreTrainedModel))
    attention = bert.config._attn_implementation
    AttentionInterface.register("written_out", _attention)
    AttentionMaskInterface.register("written_out", eager_mask)
    bert.set_attn_implementation("written_out")
    casts = [part.register_forward_pre_hook(lambda _part, given: (given[0].bfloat16(), *given[1:]))
             for part in bert.modules() if isinstance(part, BertSelfAttention)]

    def as_before():
        for cast in casts:
            cast.remove()
        for part in dropouts:
            del part.forward
        bert.set_attn_implementation(attention)
    return as_before


def _dropped(x, p):
    """Dropout, with one random number of 64 bits for four entries."""
    if p == 1:
        return x * 0
    source = np.random.SFC64(int(torch.randint(2**62, ())))  # half again as quick as torch's own
    dice = torch.from_numpy(source.random_raw(-(-x.numel() // 4)).view(np.int16))[:x.numel()].view(x.shape)
    kept = torch.empty(x.shape, dtype=torch.int8)  # a comparison that gives bool takes a CPU much longer
    torch.ge(dice, round(p * 2**16) - 2**15, out=kept)
    return (x * kept).mul_(1 / (1 - p))


def _attention(_module, query, key, value, attention_mask, scaling, dropout=0.0, **_):
    """Attention as transformers' "eager" computes it, with the dropout above."""
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:  # as it comes, in fp32, it would make fp32 of the weights too, and these are kept
        scores = scores + attention_mask.clamp(min=torch.finfo(scores.dtype).min).type_as(scores)
    weights = nn.functional.softmax(scores, dim=-1)
    dropped = _dropped(weights, dropout) if dropout else weights
    return (dropped @ value).transpose(1, 2).contiguous(), dropped


def _precision(wanted, device):
    """Return "fp32", "bf16" or "fp16" for what was asked."""
    if device.type == "cuda":
        own_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        if wanted == "bf16" and not own_bf16:
            print("This GPU has no bf16 of its own: it is emulated, and slower than fp16.")
        return wanted if wanted != "auto" else "bf16" if own_bf16 else "fp16"
    if wanted == "fp16":
        raise TrainingError(f"fp16 needs a CUDA GPU; on this device ({device.type}) use precision='fp32'.")
    if wanted == "bf16" and device.type == "cpu" and not cpu_has_bf16():
        print("This CPU has no bf16 of its own: it is emulated, and slower than fp32.")
    return "fp32" if wanted == "auto" else wanted


def cpu_has_bf16():
    """Return whether the CPU multiplies bf16 itself (AVX-512 bf16 or AMX)."""
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
