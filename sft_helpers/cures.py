"""Fine-tuning with lesson 11's cures against overfitting: a plain loop, in which each cure has one switch."""

import contextlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from datasets import Dataset, Features, Value
from torch import nn

from . import environment, evaluation, models, training


@dataclass(frozen=True)
class Cures:
    """What is done against overfitting; as it stands, nothing, not even dropout.

    Attributes
    ----------
    dropout : float
        Share of the activations dropped in the backbone's trained layers (lesson 06).
    weight_decay : float
        As in AdamW: matrices shrink by learning rate × decay at each update; biases and norms do not.
    l1, l2 : float
        Penalties in the loss: the sum of the matrices' absolute, or squared, entries times this.
    label_smoothing : float
        Share of the target spread evenly over all labels.
    class_weights : bool
        Texts of rare labels count more: n / (labels · texts of the label).
    deletion : float
        Share of a text's words left out, anew in each epoch; one word always stays.
    adversarial : float
        Length of the step by which a text's word vectors are moved in the direction that raises the loss most
        (the fast gradient method, FGM); the moved text is learned from as well.
    trained_layers : int or "all"
        As in ``models.TextClassifier``.

    References
    ----------
    Szegedy et al.: Rethinking the Inception Architecture for Computer Vision, CVPR 2016 (label smoothing). Miyato,
    Dai and Goodfellow: Adversarial Training Methods for Semi-Supervised Text Classification, ICLR 2017. Wei and Zou:
    EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks, EMNLP-IJCNLP 2019.
    """

    dropout: float = 0.0
    weight_decay: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    label_smoothing: float = 0.0
    class_weights: bool = False
    deletion: float = 0.0
    adversarial: float = 0.0
    trained_layers: int | str = "all"


class Result(NamedTuple):
    """What a run leaves.

    Attributes
    ----------
    model : models.TextClassifier
        With the last weights, in eval mode.
    best : dict from str to Tensor
        The trained weights after the epoch with the lowest validation loss.
    history : list of dict
        For each epoch ``epoch``, ``train_loss`` (cross-entropy alone, in train mode, mean over the epoch's texts) and
        the ``measure`` of the validation texts.
    """

    model: models.TextClassifier
    best: dict
    history: list


def train(backbone, rows, names, validation, cures=None, epochs=10, batch_size=16, lr=2e-4, head_lr=2e-3, seed=0):
    """Fine-tune with some of the cures.

    Without cures and without dropout this is ``training.fit``, to the last digits but a few.

    Parameters
    ----------
    backbone : resources.Backbone
    rows, validation : datasets.Dataset
        With the columns ``text`` and ``label``.
    names : dict from int to str
    cures : Cures, optional
    epochs, batch_size : int
    lr, head_lr : float
        Highest learning rates; a tenth of the updates warms up, then the rate falls to zero in a line.
    seed : int

    Returns
    -------
    Result
    """
    cures = cures or Cures()
    torch.manual_seed(seed)
    model = models.TextClassifier(backbone, names, cures.trained_layers)
    set_dropout(model, cures.dropout)
    device, texts, labels = model.head.weight.device, list(rows["text"]), torch.tensor(list(rows["label"]))
    criterion = nn.CrossEntropyLoss(_balanced(labels, len(names)).to(device) if cures.class_weights else None,
                                    label_smoothing=cures.label_smoothing)
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    matrices = [weight for weight in trained.values() if weight.ndim > 1]
    optimizer = torch.optim.AdamW([{"params": [weight], "lr": head_lr if name.startswith("head.") else lr,
                                    "weight_decay": cures.weight_decay if weight.ndim > 1 else 0.0}
                                   for name, weight in trained.items()])
    steps = epochs * -(-len(texts) // batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    lengths = [len(ids) for ids in model.tokenizer(texts, truncation=True, max_length=model.max_length)["input_ids"]]
    best, history = {}, []
    for epoch in environment.progress(range(epochs), "training", unit=" epochs"):
        model.train()
        random, seen = np.random.default_rng([seed, epoch, 1]), 0.0
        for chosen in training.batches(lengths, batch_size, seed, epoch):
            drawn = [drop_words(texts[i], cures.deletion, random) for i in chosen]
            inputs = model.tokenizer(drawn, padding=True, truncation=True, max_length=model.max_length,
                                     return_tensors="pt").to(device)
            target = labels[chosen].to(device)
            with word_vectors(model) if cures.adversarial else contextlib.nullcontext() as vectors:
                logits = model(inputs["input_ids"], inputs["attention_mask"])
                (criterion(logits, target) + penalties(matrices, cures.l1, cures.l2)).backward()
            if cures.adversarial:
                with moved(model, fgm_step(vectors[0].grad, cures.adversarial)):
                    criterion(model(inputs["input_ids"], inputs["attention_mask"]), target).backward()
            nn.utils.clip_grad_norm_(trained.values(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            seen += nn.functional.cross_entropy(logits.detach(), target, reduction="sum").item()
        history.append({"epoch": epoch + 1, "train_loss": seen / len(texts), **measure(model.eval(), validation)})
        if history[-1]["loss"] == min(entry["loss"] for entry in history):
            best = {name: weight.detach().clone() for name, weight in trained.items()}
    return Result(model, best, history)


def _rate(step, steps):
    warmup = round(0.1 * steps)
    return (step + 1) / (warmup + 1) if step < warmup else (steps - step) / (steps - warmup)


def _balanced(labels, count):
    """n / (labels · texts of the label), as scikit-learn's ``class_weight="balanced"``."""
    return len(labels) / (count * torch.bincount(labels, minlength=count).clamp(min=1).float())


def set_dropout(model, share):
    """Set the share that every dropout of a model drops, attention's included."""
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = share


def drop_words(text, share, random):
    """Leave out each word of a text with some probability, but never all of them.

    Parameters
    ----------
    text : str
    share : float
    random : numpy.random.Generator

    Returns
    -------
    str
    """
    words = text.split()
    if not share or len(words) < 2:
        return text
    kept = [word for word, dice in zip(words, random.random(len(words)), strict=True) if dice >= share]
    return " ".join(kept) if kept else words[random.integers(len(words))]


def penalties(matrices, l1, l2):
    """Return l1 times the sum of the absolute entries plus l2 times that of the squares; 0 without both."""
    found = 0.0
    if l1:
        found = found + l1 * sum(weight.abs().sum() for weight in matrices)
    if l2:
        found = found + l2 * sum(weight.square().sum() for weight in matrices)
    return found


@contextlib.contextmanager
def word_vectors(model):
    """Within this block, collect the word vectors that go into the network, so that their gradients are kept."""
    seen = []

    def listen(_part, _inputs, vectors):
        vectors = vectors if vectors.requires_grad else vectors.requires_grad_()  # frozen: only the gradient is wanted
        vectors.retain_grad()
        seen.append(vectors)
        return vectors
    handle = model.backbone.embeddings.word_embeddings.register_forward_hook(listen)
    try:
        yield seen
    finally:
        handle.remove()


@contextlib.contextmanager
def moved(model, step):
    """Within this block, add a step, shape (batch, tokens, d), to the word vectors that go into the network."""
    handle = model.backbone.embeddings.word_embeddings.register_forward_hook(
        lambda _part, _inputs, vectors: vectors + step)
    try:
        yield
    finally:
        handle.remove()


def fgm_step(gradient, length):
    """Return the fast gradient method's step for each text.

    Parameters
    ----------
    gradient : Tensor, shape (batch, tokens, d)
        Of the loss, by the word vectors.
    length : float
        Of the step, over all of a text's tokens.

    Returns
    -------
    Tensor, shape (batch, tokens, d)
        The text's gradient, brought to this length.
    """
    return length * gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]


def measure(model, rows):
    """Return log-loss, accuracy and macro F1 of a classifier on texts with labels."""
    labels = np.array(rows["label"])
    probabilities = model.probabilities(list(rows["text"])).double().numpy()
    given = probabilities[np.arange(len(labels)), labels]
    predicted = probabilities.argmax(axis=1)
    return {"loss": float(-np.log(np.maximum(given, 1e-12)).mean()), "accuracy": float((predicted == labels).mean()),
            "f1": evaluation.macro_f1(labels, predicted)}


def few(rows, per_label, seed):
    """Draw texts of each label at random.

    Parameters
    ----------
    rows : datasets.Dataset
        With the columns ``text`` and ``label`` (ClassLabel).
    per_label : int or list of int
        How many of each label, or a number for each.
    seed : int

    Returns
    -------
    datasets.Dataset
        In their old order.

    Raises
    ------
    ValueError
        A label has fewer texts, or there are more or fewer numbers than labels.
    """
    random, labels, names = np.random.default_rng([seed, 11]), np.array(rows["label"]), rows.features["label"].names
    counts = per_label if isinstance(per_label, list) else [per_label] * len(names)
    if len(counts) != len(names):
        raise ValueError(f"per_label holds {len(counts)} numbers; give one for each of {', '.join(names)}.")
    drawn = []
    for label, count in enumerate(counts):
        there = np.flatnonzero(labels == label)
        if len(there) < count:
            raise ValueError(f"{names[label]!r} has {len(there)} texts; {count} were asked for.")
        drawn.append(random.choice(there, count, replace=False))
    return rows.select(np.sort(np.concatenate(drawn)).tolist())


def mislabel(rows, share, seed):
    """Give a share of the texts another label, drawn at random among the others.

    Parameters
    ----------
    rows : datasets.Dataset
        With the columns ``text`` and ``label`` (ClassLabel).
    share : float
    seed : int

    Returns
    -------
    datasets.Dataset
    ndarray of int
        The rows that have a wrong label now.
    """
    random, labels, kind = np.random.default_rng([seed, 12]), np.array(rows["label"]), rows.features["label"]
    chosen = random.choice(len(labels), round(share * len(labels)), replace=False)
    labels[chosen] = (labels[chosen] + random.integers(1, kind.num_classes, len(chosen))) % kind.num_classes
    content = {"text": list(rows["text"]), "label": labels.tolist()}
    return Dataset.from_dict(content, features=Features({"text": Value("string"), "label": kind})), np.sort(chosen)
