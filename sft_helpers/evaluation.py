"""Accuracy with an interval, two classifiers compared on the same texts, and the contrast pairs' stricter score."""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from sklearn.metrics import f1_score


class Interval(NamedTuple):
    """A score between 0 and 1 and the interval around it."""

    value: float
    low: float
    high: float

    def __str__(self):
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f}–{100 * self.high:.1f})"


def accuracy(labels, predictions, resamples=2000, confidence=0.95, seed=0):
    """Return the accuracy with a bootstrap percentile interval (lesson 03, section 7).

    Parameters
    ----------
    labels : array-like of int, shape (n,)
    predictions : array-like of int, shape (n,) or (runs, n)
        For several runs the value is their mean. Texts are drawn, not runs: the interval says how far the value
        could move with other texts.
    resamples : int
    confidence : float
    seed : int

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        The two differ in length or are empty, or a setting makes no sense.

    References
    ----------
    Efron: Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7(1), 1979.
    """
    return _mean(_right(labels, predictions), resamples, confidence, seed)


def difference(labels, first, second, resamples=2000, confidence=0.95, seed=0):
    """Return by how much the first classifier's accuracy exceeds the second's on the same texts (lesson 10, section 2).

    Parameters
    ----------
    labels : array-like of int, shape (n,)
    first, second : array-like of int, shape (n,) or (runs, n)
        Predictions, as in ``accuracy``. Each bootstrap draw takes the same texts for both.
    resamples : int
    confidence : float
    seed : int

    Returns
    -------
    Interval
        From -1 to 1.

    Raises
    ------
    ValueError
        The three differ in length or are empty, or a setting makes no sense.
    """
    return _mean(_right(labels, first) - _right(labels, second), resamples, confidence, seed)


def mcnemar(labels, first, second):
    """Return the exact p-value of McNemar's test on two classifiers' answers to the same texts (lesson 10, section 2).

    Parameters
    ----------
    labels : array-like of int, shape (n,)
    first, second : array-like of int, shape (n,)

    Returns
    -------
    float
        If both were equally good: the chance that the texts on which only one of them is right are shared out at
        least as unevenly as here. 1 where there are none.

    Raises
    ------
    ValueError
        The three differ in length or are empty, or hold several runs.

    References
    ----------
    McNemar: Note on the Sampling Error of the Difference Between Correlated Proportions or Percentages,
    Psychometrika 12, 1947.
    """
    if np.ndim(first) != 1 or np.ndim(second) != 1:
        raise ValueError("mcnemar compares one run with one run.")
    ahead = _right(labels, first) - _right(labels, second)
    won, lost = int((ahead > 0).sum()), int((ahead < 0).sum())
    tail = sum(math.comb(won + lost, k) for k in range(max(won, lost), won + lost + 1))
    return float(min(1, Fraction(2 * tail, 2 ** (won + lost))))


def _right(labels, predictions):
    """The share of runs that are right about each text, shape (n,)."""
    return np.atleast_2d(_equal(labels, predictions)).mean(axis=0)


def _equal(labels, predictions):
    """Where the two are the same, in the shape of the predictions."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 1 or not predictions.size or predictions.ndim > 2 or predictions.shape[-1:] != labels.shape:
        raise ValueError(f"labels and predictions must be two equally long lists, got shapes {labels.shape} and "
                         f"{predictions.shape}.")
    one, other = labels.flat[0], predictions.flat[0]
    if isinstance(one, str) != isinstance(other, str):  # never equal, so all would be told as wrong
        raise ValueError(f"labels and predictions must both be numbers or both be names, not {one!s} and {other!s}.")
    return labels == predictions


def _mean(values, resamples, confidence, seed):
    """The mean of one value for each text, with its bootstrap percentile interval."""
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError(f"resamples is 1 or more and confidence lies between 0 and 1, not {resamples} and "
                         f"{confidence}.")
    random, tail = np.random.default_rng(seed), (1 - confidence) / 2
    at_once = max(1, 4_000_000 // len(values))  # draws held in memory together, whatever the number of texts
    means = [values[random.integers(0, len(values), (min(at_once, resamples - done), len(values)))].mean(axis=1)
             for done in range(0, resamples, at_once)]
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def columns(predictions, chosen):
    """Return the predictions for some of the texts, shape (…, number chosen)."""
    return np.asarray(predictions)[..., np.asarray(chosen)]


def macro_f1(labels, predictions):
    """Return the mean of the labels' F1 scores (lesson 07), from 0 to 1; a label that nothing was given counts 0."""
    return float(f1_score(labels, predictions, average="macro", zero_division=0))


def both_right(pairs, labels, predictions):
    """Return the share of contrast pairs of which both halves are classified rightly, with its interval.

    Parameters
    ----------
    pairs : list of (int, int)
        Row numbers, from ``data.pairs``.
    labels : array-like of int, shape (n,)
    predictions : array-like of int, shape (n,) or (runs, n)
        For several runs the share is their mean.

    Returns
    -------
    Interval
        From 0 to 1. A model that gives both halves one answer scores 0; blind guessing scores 1/4.
        NaN for data without pairs.
    """
    if not pairs:
        return Interval(*[float("nan")] * 3)
    right = _equal(labels, predictions)
    first, second = np.array(pairs).T
    both = right[..., first] & right[..., second]
    return accuracy(np.ones(len(pairs)), both)
