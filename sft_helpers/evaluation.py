"""Accuracy with an interval, and the contrast pairs' stricter score."""

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
        The two differ in length or are empty.

    References
    ----------
    Efron: Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7(1), 1979.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 1 or not len(labels) or predictions.ndim > 2 or predictions.shape[-1:] != labels.shape:
        raise ValueError(f"labels and predictions must be two equally long lists, got shapes {labels.shape} and "
                         f"{predictions.shape}.")
    right = np.atleast_2d(labels == predictions).mean(axis=0)
    draws = np.random.default_rng(seed).integers(0, len(right), (resamples, len(right)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(right[draws].mean(axis=1), [tail, 1 - tail])
    return Interval(float(right.mean()), float(low), float(high))


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
    right = np.asarray(labels) == np.asarray(predictions)
    first, second = np.array(pairs).T
    both = right[..., first] & right[..., second]
    return accuracy(np.ones(len(pairs)), both)
