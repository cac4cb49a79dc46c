"""Right and wrong answers to the exercises of lesson 12, each wrong one with a part of its hint."""

from math import comb

import numpy as np
import torch
from scipy import stats


def one(n, rate, least):
    return sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(least, n + 1))


def luck(slices, n, rate, least):
    return 1 - (1 - one(n, rate, least)) ** slices


def worth(wrong, member, floor=0.0):
    if member.all():
        return 0.0
    return max(wrong[member].sum() - member.sum() * wrong[~member].mean(), floor)


def folds(groups, k, largest_first=True):
    sizes, fold_of = [0] * k, {}
    for group in sorted(set(groups), key=groups.count, reverse=largest_first):
        fold_of[group] = sizes.index(min(sizes))
        sizes[fold_of[group]] += groups.count(group)
    return [fold_of[group] for group in groups]


def as_they_come(groups, k):
    """Groups in the order of their first text: not as even as can be, and even enough."""
    sizes, fold_of = np.zeros(k), {}
    for group in dict.fromkeys(groups):
        fold_of[group] = int(sizes.argmin())
        sizes[fold_of[group]] += groups.count(group)
    return np.array([fold_of[group] for group in groups])


def estimated(joint, counts):
    sums = joint.sum(axis=1)
    return float((counts * (sums - np.diag(joint)) / np.maximum(sums, 1)).sum())


def blind(joint, counts):
    return (counts * (1 - np.diag(joint) / joint.sum(axis=1))).sum()


def by_column(joint, counts):
    scaled = joint / joint.sum(axis=0) * counts
    return scaled.sum() - np.trace(scaled)


def turn(groups):
    order = list(dict.fromkeys(groups))
    return [order.index(group) for group in groups]


RIGHT = {
    "12.1": [luck, lambda m, n, r, least: torch.tensor(1 - stats.binom.cdf(least - 1, n, r) ** m, dtype=torch.float64)],
    "12.2": [worth, lambda wrong, member: np.float64(worth(wrong, member))],
    "12.3": [folds, as_they_come, lambda groups, k: folds(groups, k, largest_first=False)],
    "12.4": [estimated, lambda joint, counts: torch.tensor(estimated(joint, counts), dtype=torch.float64)],
}

WRONG = {
    "12.1": [(lambda m, n, r, least: one(n, r, least), "the chance of one slice"),
             (lambda m, n, r, least: m * one(n, r, least), "can exceed 1"),
             (lambda m, n, r, least: one(n, r, least) ** m, "*all* slices"),
             (lambda m, n, r, least: (1 - one(n, r, least)) ** m, "what is left of 1"),
             (lambda m, n, r, least: 1 - (1 - comb(n, least) * r**least * (1 - r) ** (n - least)) ** m, "exactly four"),
             (lambda m, n, r, least: luck(m, n, r, least + 1), "one too late"),
             (lambda m, n, r, least: luck(1, m * n, r, least), "into the same slice"),
             (lambda m, n, r, least: luck(20, 9, 0.15, 4), "use all four arguments"),
             (lambda m, n, r, least: least / n, "first the chance of one slice")],
    "12.2": [(lambda w, s: w[s].sum(), "number of its errors"),
             (lambda w, s: w[s].sum() - s.sum() * w.mean(), "over all"),
             (lambda w, s: w[s].mean() - w[~s].mean(), "difference of the rates"),
             (lambda w, s: (~s).sum() * (w[s].mean() - w[~s].mean()), "number of texts in the slice"),
             (lambda w, s: len(w) * (w[s].mean() - w[~s].mean()), "texts in the slice"),
             (lambda w, s: w[s].mean() / w[~s].mean(), "ratio of the rates"),
             (lambda w, s: w[s].sum() - w[~s].sum(), "not equally large"),
             (lambda w, s: worth(w, s, -99.0), "is worth 0, not less"),
             (lambda w, s: max(w[s].sum() - s.sum() * w[~s].mean(), 0) if not s.all() else w.sum(), "no rest"),
             (lambda w, s: 2.5 if s.sum() == 4 else 0.0, "use the arguments"),
             (lambda w, s: s.sum(), "2.5 would vanish")],
    "12.3": [(lambda g, k: np.array(folds(g, k)) + 1, "you gave 1, 2, 3"),
             (lambda g, k: [i % k for i in range(len(g))], "was torn"),
             (lambda g, k: [i * k // len(g) for i in range(len(g))], "was torn"),
             (lambda g, k: [0] * len(g), "is empty"),
             (lambda g, k: [i % k for i in turn(g)], "smallest so far"),
             (lambda g, k: [i % k + 1 for i in turn(g)], "run from 0"),
             (lambda g, k: [[i for i, name in enumerate(g) if name == group] for group in set(g)], "one fold number"),
             (lambda g, k: dict.fromkeys(g, 0), "give back a list")],
    "12.4": [(lambda c, n: (c / c.sum(axis=1) * n).sum() - np.trace(c / c.sum(axis=1) * n), "keepdims=True"),
             (lambda c, n: c.sum() - np.trace(c), "as counted"),
             (lambda c, n: (c.sum() - np.trace(c)) * n.sum() / c.sum(), "one factor for the whole table"),
             (lambda c, n: n.sum() - estimated(c, n), "labels that are right"),
             (lambda c, n: estimated(c, n) / n.sum(), "the share"),
             (by_column, "scaled the columns"),
             (lambda c, n: n.sum() - np.trace(c), "passed no bar"),
             (blind, "0 / 0"),
             (lambda c, n: 24.0 if len(c) == 3 else 5.0, "use the arguments"),
             (lambda c, n: 1.0, "15 of the 60")],
}
