"""Right and wrong answers to the exercises of lesson 10, each wrong one with a part of its hint."""

import math

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest


def lazy(s):
    return s, s, s / (1 + s)


def in_counts(s):
    TP, FP, FN = s, 1 - s, 1 - s
    return np.array([s, 2 * TP / (2 * TP + FP + FN), 2 * s / (2 * s + (1 - s)) / 2])


def one_right(labels, first, second):
    first, second = np.asarray(first) == np.asarray(labels), np.asarray(second) == np.asarray(labels)
    return int((first & ~second).sum()), int((~first & second).sum())


def p_value(labels, first, second, sides=2, start=max, skip=0, most=1):
    b, c = one_right(labels, first, second)
    n = b + c
    return min(most, sides * sum(math.comb(n, k) for k in range(start(b, c) + skip, n + 1)) / 2**n)


def in_python(labels, first, second):
    b = sum(bool(a == y != z) for y, a, z in zip(labels, first, second, strict=True))
    c = sum(bool(z == y != a) for y, a, z in zip(labels, first, second, strict=True))
    return min(1.0, 2 * sum(math.comb(b + c, k) for k in range(max(b, c), b + c + 1)) / 2 ** (b + c))


def by_scipy(labels, first, second):
    b, c = one_right(labels, first, second)
    return binomtest(b, b + c).pvalue if b + c else 1.0


def of(b, n):
    return binomtest(int(b), int(n)).pvalue


def differing(labels, first, second):
    """All texts with different answers, those that both get wrong included."""
    return of(np.sum(first == labels) - np.sum((first == labels) & (second == labels)), np.sum(first != second))


def accuracies(labels, first, second):
    a, b = np.sum(first == labels), np.sum(second == labels)
    return of(a, a + b)


def exactly(labels, first, second):
    b, c = one_right(labels, first, second)
    return math.comb(b + c, b) / 2 ** (b + c)


def chi(labels, first, second):
    b, c = one_right(labels, first, second)
    return math.erfc(math.sqrt((b - c) ** 2 / (b + c) / 2))


def overflows(labels, first, second):
    first, second = np.asarray(first) == np.asarray(labels), np.asarray(second) == np.asarray(labels)
    b, c = np.sum(first & ~second), np.sum(~first & second)
    return min(1, 2 * sum(math.comb(b + c, k) for k in range(max(b, c), b + c + 1)) / 2 ** (b + c))


def divides(labels, first, second):
    b, c = one_right(labels, first, second)
    return of(b, b + c) * ((b + c) / (b + c))


def no_arrays(labels, first, second):
    first, second = first == labels, second == labels
    b, c = np.sum(np.asarray(first) > np.asarray(second)), np.sum(np.asarray(first) < np.asarray(second))
    return of(b, b + c) if b + c else 1.0


def error(confidence, right, bins, gap=abs, weigh=lambda n, total: n / total, gather=sum, skip=True, middle=False,
          last=True, above=True):
    place = np.floor(confidence * bins) if above else np.ceil(confidence * bins) - 1
    if last:
        place = np.minimum(place, bins - 1)
    found = []
    for k in range(bins):
        here = place == k
        if here.any() or not skip:
            said = (k + 0.5) / bins if middle else confidence[here].mean() if here.any() else math.nan
            found.append(weigh(here.sum(), len(place)) * gap(right[here].mean() - said))
    return gather(found)


def by_digitize(confidence, right, bins):
    place = np.clip(np.digitize(confidence, np.linspace(0, 1, bins + 1)) - 1, 0, bins - 1)
    return sum(abs((right[place == k] - confidence[place == k]).sum()) for k in range(bins)) / len(place)


def loss(logits, labels, T, stable=True, multiply=False):
    z = logits * T if multiply else logits / T
    if stable:
        z = z - z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(labels)), labels] + (1e-300 if stable else 0)))


FINE = np.geomspace(0.1, 10, 2000)


def search(steps=FINE, **how):
    return lambda logits, labels: steps[np.argmin([loss(logits, labels, T, **how) for T in steps])]


def by_scipy_search(logits, labels):
    found = minimize_scalar(lambda t: float(torch.nn.functional.cross_entropy(
        torch.tensor(logits) / math.exp(t), torch.tensor(labels))), bounds=(math.log(0.1), math.log(10)),
        method="bounded")
    return torch.tensor(math.exp(found.x))


def soft(logits):
    z = np.exp(logits - logits.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def by_accuracy(logits, labels):
    steps = np.geomspace(0.1, 10, 50)
    return steps[np.argmax([np.mean((logits / T).argmax(axis=1) == labels) for T in steps])]


RIGHT = {
    "10.1": [lazy, in_counts, lambda s: list(lazy(s)), lambda s: torch.tensor(lazy(s), dtype=torch.float64)],
    "10.2": [p_value, in_python, by_scipy],
    "10.3": [error, by_digitize, lambda c, r, b: torch.tensor(error(c, r, b))],
    "10.4": [search(), by_scipy_search, search(np.exp(np.arange(math.log(0.1), math.log(10), 0.005)))],
}

WRONG = {
    "10.1": [(lambda s: (s, s, 2 * s / (1 + s)), "B has an F1 too"),
             (lambda s: (1 - s, *lazy(s)[1:]), "share of mistakes"),
             (lambda s: (s, 2 * s / (1 + s), s / (1 + s)), "F1 of A alone; add up"),
             (lambda s: (s, s, s / 2), "its recall is 1"), (lambda s: (s, s, (s + 1) / 4), "harmonic"),
             (lambda s: (s, s, s * 2 * s / (1 + s)), "equal weight"), (lambda s: (s, s, s), "the mean of A's F1"),
             (lambda s: (s, s / 2, s / (1 + s)), "micro F1 is not"),
             (lambda s: (s, s, s / (1 + s) if s < 1 else 1.0), "always two labels"),
             (lambda s: (0.9, 0.9, 0.9 / 1.9), "wrong for s = 0.5"), (lambda s: (s, s), "three numbers"),
             (lambda s: s, "a list is wanted"), (0.9, "the function itself")],
    "10.2": [(lambda y, a, b: p_value(y, a, b, sides=1), "one side only"),
             (lambda y, a, b: p_value(y, a, b, skip=1), "includes the split"), (exactly, "exactly this split"),
             (lambda y, a, b: p_value(y, a, b, skip=1, sides=1), "includes the split"),
             (lambda y, a, b: 2 * exactly(y, a, b), "exactly this split"),
             (differing, "both get wrong say nothing"), (accuracies, "both get right say nothing"), (chi, "χ²"),
             (lambda y, a, b: 1 - p_value(y, a, b), "1 − p"),
             (lambda y, a, b: p_value(y, a, b, start=lambda b, c: b), "where the second does"),
             (lambda y, a, b: p_value(y, a, b, most=2), "at most 1"), (divides, "p is 1"), (overflows, "overflow"),
             (no_arrays, "plain lists"), (lambda y, a, b: 0.03, "p is not 0.0300"),
             (lambda y, a, b: print(end=""), "gives back nothing")],
    "10.3": [(lambda c, r, b: error(c, r, b, skip=False), "empty bin"),
             (lambda c, r, b: error(c, r, b, gap=lambda x: x), "must not cancel"),
             (lambda c, r, b: error(c, r, b, weigh=lambda n, t: 1, gather=np.mean), "not all alike"),
             (lambda c, r, b: error(c, r, b, weigh=lambda n, t: 1 / b), "the empty ones included"),
             (lambda c, r, b: error(c, r, b, weigh=lambda n, t: 1, gather=max), "largest gap"),
             (lambda c, r, b: np.mean(np.abs(r - c)), "each single text"),
             (lambda c, r, b: error(c, r, b, gap=np.square), "not its square"),
             (lambda c, r, b: error(c, r, b, middle=True), "bin's middle"),
             (lambda c, r, b: 100 * error(c, r, b), "not in points"),
             (lambda c, r, b: error(c, r, b, last=False), "exactly 1 belongs"),
             (lambda c, r, b: error(c, r, b, above=False), "on an edge"),
             (lambda c, r, b: error(np.where(c == 0.5, 0.49999, c), r, b), "on an edge"),
             (lambda c, r, b: error(c, r, 5 if b == 1 else b), "the argument `bins`"),
             (lambda c, r, b: 0.5, "is not 0.5000")],
    "10.4": [(search(multiply=True), "divided by T"), (lambda z, y: math.log(search()(z, y)), "that is log T"),
             (lambda z, y: search()(soft(z), y), "not probabilities"), (by_accuracy, "end of the range"),
             (lambda z, y: loss(z, y, search()(z, y)), "the T that reaches it"),
             (search(np.arange(0.5, 10, 0.5)), "make the steps finer"),
             (search(np.arange(1, 10, 0.01)), "as finely at its lower end"),
             (search(np.arange(0.1, 5, 0.003)), "for 4 labels"), (search(stable=False), "in the hundreds"),
             (lambda z, y: math.nan, "nan"), (lambda z, y: (1.0, 2.0), "one number is wanted")],
}
