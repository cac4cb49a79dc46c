"""Right and wrong answers to the exercises of lesson 07, each wrong one with a part of its hint."""

import hashlib

import numpy as np
import torch
from torch import nn


def train_top(model, k):
    model.requires_grad_(False)
    layers = model.encoder.layer
    for layer in layers[len(layers) - k:]:
        layer.requires_grad_(True)
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def train_top_torch(model, k):
    for place, layer in enumerate(model.encoder.layer):
        layer.requires_grad_(place >= len(model.encoder.layer) - k)
    model.embeddings.requires_grad_(False)
    model.pooler.requires_grad_(False)
    return torch.tensor(sum(w.numel() for w in model.parameters() if w.requires_grad))


def by_slice(chosen, freeze=True, parts=("embeddings", "pooler")):
    def answer(model, k):
        if freeze:
            model.requires_grad_(False)
        else:
            model.encoder.requires_grad_(False)
            for part in parts:
                getattr(model, part).requires_grad_(False)
        for layer in chosen(model.encoder.layer, k):
            layer.requires_grad_(True)
        return sum(w.numel() for w in model.parameters() if w.requires_grad)
    return answer


def only_freezes(model, k):
    for part in (model.embeddings, model.pooler, *model.encoder.layer[:len(model.encoder.layer) - k]):
        part.requires_grad_(False)
    return sum(w.numel() for w in model.parameters() if w.requires_grad)


def counts_tensors(model, k):
    train_top(model, k)
    return sum(w.requires_grad for w in model.parameters())


def with_a_bias_below(place):
    def answer(model, k):
        train_top(model, k)
        next(w for name, w in model.encoder.layer[place].named_parameters() if "bias" in name).requires_grad_(True)
        return sum(w.numel() for w in model.parameters() if w.requires_grad)
    return answer


def by_multiplying(times, chosen=lambda layers, k: layers[len(layers) - k:]):
    """Counts one block and multiplies."""
    def answer(model, k):
        by_slice(chosen)(model, k)
        return times(k) * sum(w.numel() for w in model.encoder.layer[0].parameters())
    return answer


def counts_all(model, k):
    train_top(model, k)
    return sum(w.numel() for w in model.parameters())


def move(keep=lambda w: w.detach().clone(), make=torch.optim.SGD, mode=False, clear=True, freeze=False, step=True,
         measure=lambda change: change.abs().max(), lr=0.1, loss=nn.functional.cross_entropy):
    def answer(model, x, y):
        model.train(mode)
        if freeze:
            model.requires_grad_(False)
        before = [keep(w) for w in model.parameters()]
        optimizer = make(model.parameters(), lr=lr)
        if clear:
            optimizer.zero_grad()
        loss(model(x), y).backward()
        if step:
            optimizer.step()
        change = torch.cat([(w.detach() - old).flatten() for w, old in zip(model.parameters(), before, strict=True)])
        return measure(change)
    return answer


def move_in_numpy(model, x, y):
    model.eval()
    before = [w.detach().numpy().copy() for w in model.parameters()]
    model.zero_grad()
    nn.CrossEntropyLoss()(model(x), y).backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    return max(np.abs(w.detach().numpy() - old).max() for w, old in zip(model.parameters(), before, strict=True))


def scores(matrix, label, swap=False, plain=False, guard=True):
    hits, said, true = matrix[label, label], matrix[:, label].sum(), matrix[label].sum()
    if guard:
        said, true = max(said, 1), max(true, 1)
    precision, recall = hits / said, hits / true
    both = precision + recall
    f1 = both / 2 if plain else 2 * precision * recall / both if both or not guard else 0.0
    return (recall, precision, f1) if swap else (precision, recall, f1)


def accuracy(matrix):
    return np.trace(matrix) / matrix.sum()


def in_python(matrix, label):
    hits, said, true = int(matrix[label, label]), int(matrix[:, label].sum()), int(matrix[label].sum())
    return hits / said, hits / true, 2 * hits / (said + true)


def key(weights, texts, pooling):
    found = hashlib.sha256(repr((texts, pooling)).encode())
    for weight in weights:
        found.update(weight.numpy().tobytes())
    return found.hexdigest()


def no_label(matrix, label):
    hits, said = matrix[label, label], matrix[:, label].sum()
    precision, recall = hits / said if said else 0.0, hits / matrix[label].sum()
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def unguarded_precision(matrix, label):
    precision, recall, f1 = scores(matrix, label)
    return (precision if matrix[:, label].any() else np.nan), recall, f1


def move_and_restore(model, x, y):
    training = model.training
    found = move()(model, x, y)
    model.train(training)
    return found


def train_mode_restored(model, x, y):
    found = move(mode=True)(model, x, y)
    model.eval()
    return found


def numbers(weights):
    return tuple(tuple(weight.flatten().tolist()) for weight in weights)


RIGHT = {
    "07.1": [train_top, train_top_torch],
    "07.2": [move(), move_in_numpy, move_and_restore, lambda model, x, y: move()(model, x, y).item()],
    "07.3": [scores, lambda m, k: np.array(scores(m, k)), lambda m, k: torch.tensor(scores(m, k)),
             lambda m, k: list(scores(m, k))],
    "07.4": [key, lambda w, t, p: (numbers(w), tuple(t), p)],
}

WRONG = {
    "07.1": [(by_slice(lambda layers, k: layers[-k:]), "the whole list"),
             (by_slice(lambda layers, k: layers[:k]), "first blocks"),
             (by_slice(lambda layers, k: layers[len(layers) - k - 1:]), "exactly the last two"),
             (by_slice(lambda layers, k: layers[len(layers) - k:], freeze=False, parts=("pooler",)), "embeddings may"),
             (by_slice(lambda layers, k: layers[len(layers) - k:], freeze=False, parts=("embeddings",)), "pooler may"),
             (only_freezes, "stays frozen"), (counts_tensors, "counted tensors"), (counts_all, "but they hold"),
             (with_a_bias_below(0), "exactly the last two"), (with_a_bias_below(1), "exactly the last two"),
             (by_multiplying(lambda k: k, lambda layers, k: layers[-k:]), "the whole list"),
             (by_multiplying(lambda k: k or 1), "for k = 0"),
             (by_multiplying(lambda k: 2 * bool(k)), "wrong for k = 4"),
             (lambda model, k: print(end=""), "gives back nothing")],
    "07.2": [(train_mode_restored, "train mode"),
             (move(keep=lambda w: w.detach()), "share their memory"), (move(step=False), "take its step"),
             (lambda model, x, y: 0, "no weight has moved"), (move(clear=False), "old gradient"),
             (move(mode=True), "train mode"), (move(freeze=True), "freeze nothing"),
             (move(measure=lambda change: change.max()), "absolute"), (move(make=torch.optim.Adam), "Adam"),
             (move(measure=lambda change: change.abs().sum()), "not a sum"),
             (move(measure=lambda change: change.norm()), "not a sum"),
             (move(measure=lambda change: change.abs().mean()), "not the mean"), (move(lr=1.0), "learning rate is 0.1"),
             (move(loss=lambda out, y: nn.functional.cross_entropy(out, y, reduction="sum")), "mean over the examples"),
             (move(measure=lambda change: change), "one number is wanted")],
    "07.3": [(no_label, "that no text has"), (unguarded_precision, "never predicted"),
             (lambda m, k: scores(m, k, swap=True), "changed places"),
             (lambda m, k: [accuracy(m)] * 3, "micro"),
             (lambda m, k: (accuracy(m), *scores(m, k)[1:]), "is the accuracy"),
             (lambda m, k: scores(m, k, plain=True), "harmonic"), (lambda m, k: scores(m, 1), "right for label 1"),
             (lambda m, k: scores(m, 2), "another label"),
             (lambda m, k: (scores(m, k)[0], m[k, k] / m.sum(), scores(m, k)[2]), "recall is not"),
             (lambda m, k: (*scores(m, k)[:2], scores(m, k)[2] / 2), "F1 is not"),
             (lambda m, k: scores(m, 0), "another label"), (lambda m, k: scores(m, k, guard=False), "0/0"),
             (in_python, "0/0"), (lambda m, k: scores(m, k)[2], "a list is wanted"),
             (lambda m, k: scores(m, k)[:2], "three numbers")],
    "07.4": [(lambda w, t, p: (numbers(w), tuple(t)), "pooling is not"), (lambda w, t, p: (tuple(t), p), "weights are"),
             (lambda w, t, p: (numbers(w), p), "texts are not"),
             (lambda w, t, p: (numbers(w), len(t), p), "texts are not"),
             (lambda w, t, p: (numbers(w), sum(map(len, t)), p), "how many texts"),
             (lambda w, t, p: (numbers(w), tuple(sorted(t)), p), "order of the texts"),
             (lambda w, t, p: (numbers(w), frozenset(t), p), "order of the texts"),
             (lambda w, t, p: (numbers(w), tuple(dict.fromkeys(t)), p), "repeated text is lost"),
             (lambda w, t, p: (numbers(w), "".join(t), p), "where one text ends"),
             (lambda w, t, p: (numbers(w), " ".join(t), p), "where one text ends"),
             (lambda w, t, p: (sum(float(x.sum()) for x in w), tuple(t), p), "no checksum"),
             (lambda w, t, p: (numbers(w[:1]), tuple(t), p), "only the first weights"),
             (lambda w, t, p: (numbers(np.round(x.numpy(), 3) for x in w), tuple(t), p), "do not round"),
             (lambda w, t, p: (str(w), tuple(t), p), "it is shortened"),
             (lambda w, t, p: (tuple(w), tuple(t), p), "where it lies in memory"),
             (lambda w, t, p: [numbers(w), t, p], "cannot be a key"),
             (lambda w, t, p: (tuple(tuple(x.tolist()) for x in w), tuple(t), p), "cannot be a key"),
             *((lambda w, t, p, mark=mark: (numbers(w), mark.join(t), p), "the very mark") for mark in "\n\t,;|\0"),
             (lambda w, t, p: None, "gives back nothing")],
}
