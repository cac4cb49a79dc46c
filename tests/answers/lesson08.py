"""Right and wrong answers to the exercises of lesson 08, each wrong one with a part of its hint."""

import math
from collections import defaultdict

import numpy as np
import torch


def groups(named, lr, head_lr, decay, is_head=lambda name: name.startswith("head."), decayed=lambda n, w: w.ndim > 1):
    found = defaultdict(list)
    for name, weight in named:
        found[head_lr if is_head(name) else lr, decay if decayed(name, weight) else 0.0].append(weight)
    return [{"params": weights, "lr": rate, "weight_decay": pull} for (rate, pull), weights in found.items()]


def one_each(named, lr, head_lr, decay):
    return [{"params": weight, "lr": torch.tensor(head_lr if name[:5] == "head." else lr),
             "weight_decay": decay * (weight.dim() == 2)} for name, weight in named]


def epoch_loss(losses, sizes):
    return np.average(losses, weights=sizes)


def squares(weights):
    return sum((w**2).sum() for w in weights.values())


def moved(before, after):
    return (squares({name: after[name] - before[name] for name in before}) / squares(before)).sqrt()


def flat(weights):
    return torch.cat([w.flatten() for w in weights.values()])


def choose(rows, what="validation", summary=np.mean):
    scores = defaultdict(list)
    for row in rows:
        scores[row["lr"]].append(row[what])
    return max(scores, key=lambda lr: summary(scores[lr]))


RIGHT = {
    "08.1": [groups, one_each, lambda *a: tuple(groups(*a))],
    "08.2": [epoch_loss, lambda losses, sizes: torch.tensor(epoch_loss(losses, sizes)),
             lambda losses, sizes: [sum(a * b for a, b in zip(losses, sizes, strict=True)) / sum(sizes)]],
    "08.3": [moved, lambda b, a: np.linalg.norm(flat(a) - flat(b)) / np.linalg.norm(flat(b)),
             lambda b, a: (torch.dist(flat(a), flat(b)) / flat(b).norm()).item()],
    "08.4": [choose, lambda rows: torch.tensor(choose(rows), dtype=torch.float64)],
}

WRONG = {
    "08.1": [(lambda n, lr, h, d: [{"params": w, "lr": h if "head" in name else lr, "weight_decay": d * (w.dim() == 2)}
                                   for name, w in n], "heads.weight has a learning rate"),
             (lambda n, lr, h, d: groups(n[:-1], lr, h, d), "no group holds head.bias"),
             (lambda n, lr, h, d: groups(n, lr, h, d, decayed=lambda *_: True), "is a bias"),
             (lambda n, lr, h, d: groups(n, lr, h, d, decayed=lambda name, w: not name.endswith("bias")),
              "a norm's scale"),
             (lambda n, lr, h, d: groups(n, h, lr, d), "wrong way round"),
             (lambda n, lr, h, d: groups(n, lr, lr, d), "head.weight has a learning rate"),
             (lambda n, lr, h, d: groups(n, lr, h, 0.0), "nothing is decayed"),
             (lambda n, lr, h, d: groups(n, lr, h, d, decayed=lambda name, _w: name == "head.weight"), "is a matrix"),
             (lambda n, lr, h, d: groups([*n, ("extra", torch.ones(2, 2))], lr, h, d), "were not given"),
             (lambda n, lr, h, d: groups(n, lr, h, d) + groups(n[:1], lr, h, d), "two groups"),
             (lambda n, lr, h, d: [{"params": [w for _, w in n], "lr": lr}], 'without "weight_decay"'),
             (lambda n, lr, h, d: [{"params": [name for name, _ in n], "lr": lr, "weight_decay": d}],
              "not their names"),
             (lambda n, lr, h, d: [w for _, w in n], "list of dictionaries")],
    "08.2": [(lambda losses, sizes: losses[-1], "last batch"), (lambda losses, sizes: np.mean(losses), "small batch"),
             (lambda losses, sizes: sum(losses), "sum of the batches"),
             (lambda losses, sizes: np.dot(losses, sizes), "the epoch's sum"),
             (lambda losses, sizes: np.dot(losses, sizes) / len(sizes), "number of batches"),
             (lambda losses, sizes: np.dot(losses, sizes) / 70, "fixed numbers"),
             (lambda losses, sizes: losses, "one number is wanted")],
    "08.3": [(lambda b, a: moved(b, a)**2, "square root is missing"), (lambda b, a: 100 * moved(b, a), "per cent"),
             (lambda b, a: torch.dist(flat(a), flat(b)), "the distance itself"),
             (lambda b, a: torch.dist(flat(a), flat(b)) / flat(a).norm(), "after training"),
             (lambda b, a: np.mean([torch.dist(a[n], b[n]) / b[n].norm() for n in b]), "mean over the parts"),
             (lambda b, a: abs(flat(a).norm() - flat(b).norm()) / flat(b).norm(), "compared the two lengths"),
             (lambda b, a: abs((flat(a) - flat(b)).sum()) / flat(b).norm(), "cancel"),
             (lambda b, a: (flat(a) - flat(b)).sum() / flat(b).norm(), "cancel"),
             (lambda b, a: moved(*({n: w[n] for n in ("weight", "bias") if n in w} for w in (b, a)))
              if "bias" in b else 0.0, "wrong for one"),
             (lambda b, a: math.nan, "is not nan"),
             (lambda b, a: {n: a[n] - b[n] for n in b}, "numbers are wanted")],
    "08.4": [(lambda rows: choose(rows, "test"), "best rate on the test set"),
             (lambda rows: choose(rows, summary=max), "lucky seed"),
             (lambda rows: choose(rows, "test", summary=max), "best single test score"),
             (lambda rows: choose([{**r, "both": r["validation"] + 0.0 * r["test"]} for r in rows], "both"),
              "no business"),
             (lambda rows: choose(rows, summary=sum), "not the sum"),
             (lambda rows: choose(rows, summary=lambda values: list(values)[-1]), "not one row"),
             (lambda rows: max(row["validation"] for row in rows), "not its score"),
             (lambda rows: 3e-4, "highest")],
}
