"""Two classifiers on the same texts: a difference with its interval, and McNemar's exact test."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sft_helpers import evaluation


def answers(both=0, only_first=0, only_second=0, neither=0):
    """Labels and two classifiers' answers with these numbers of agreements and disagreements."""
    first = [1] * (both + only_first) + [0] * (only_second + neither)
    second = [1] * both + [0] * only_first + [1] * only_second + [0] * neither
    return np.ones(len(first), dtype=int), np.array(first), np.array(second)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test_on_the_disagreements(won, lost):
    expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert evaluation.mcnemar(*answers(5, won, lost, 3)) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_looks_at_disagreements_alone_and_at_both_sides():
    found = evaluation.mcnemar(*answers(only_first=9, only_second=2))
    assert found == pytest.approx(2 * (55 + 11 + 1) / 2**11)
    assert found == evaluation.mcnemar(*answers(400, 9, 2, 77)) == evaluation.mcnemar(*answers(400, 2, 9, 77))
    assert evaluation.mcnemar(*answers(3, 0, 0, 4)) == evaluation.mcnemar(*answers(3, 6, 6, 4)) == 1.0
    assert 0 < evaluation.mcnemar(*answers(only_first=900, only_second=0)) < 1e-200


def test_the_difference_is_that_of_the_accuracies_and_its_sign_says_who_leads():
    labels, first, second = answers(500, 163, 124, 213)
    found = evaluation.difference(labels, first, second)
    assert found.value == pytest.approx(39 / 1000) and found.low < found.value < found.high
    assert evaluation.difference(labels, second, first).value == -found.value
    standard_error = np.sqrt((163 + 124) / 1000 - 0.039**2) / np.sqrt(1000)
    assert found.high - found.low == pytest.approx(2 * 1.96 * standard_error, rel=0.07)


def test_pairing_makes_the_interval_narrower_where_both_fail_on_the_same_texts():
    labels, first, second = answers(both=700, only_first=30, only_second=10, neither=260)
    paired = evaluation.difference(labels, first, second)
    alone = [evaluation.accuracy(labels, predictions) for predictions in (first, second)]
    assert alone[1].high > alone[0].low  # the two intervals overlap
    assert paired.low > 0
    assert paired.high - paired.low < 0.5 * np.hypot(*(score.high - score.low for score in alone))


def test_equal_classifiers_differ_by_nothing():
    labels, first, _ = answers(6, 2, 1, 3)
    assert evaluation.difference(labels, first, first) == (0, 0, 0)


def test_several_runs_are_averaged_and_one_accuracy_is_as_before():
    labels, first, second = answers(6, 2, 1, 3)
    runs = np.array([first, second])
    assert evaluation.difference(labels, runs, second).value == pytest.approx(0.5 / 12)
    assert evaluation.accuracy(labels, runs).value == pytest.approx(7.5 / 12)
    draws = np.random.default_rng(0).integers(0, 12, (2000, 12))
    low, high = np.quantile((labels == first)[draws].mean(axis=1), [0.025, 0.975])
    assert evaluation.accuracy(labels, first) == pytest.approx((8 / 12, low, high))


@pytest.mark.parametrize("function", [evaluation.difference, evaluation.mcnemar])
def test_lists_of_other_lengths_are_refused(function):
    with pytest.raises(ValueError, match="equally long"):
        function([0, 1], [0, 1], [0])
    with pytest.raises(ValueError, match="equally long"):
        function([], [], [])


def test_mcnemar_takes_one_run():
    with pytest.raises(ValueError, match="one run"):
        evaluation.mcnemar([0, 1], [[0, 1], [1, 1]], [0, 1])


def test_the_draws_are_those_of_the_seed():
    labels, predictions = np.arange(50) % 2, np.arange(50) % 3 % 2
    first, again, other = (evaluation.accuracy(labels, predictions, resamples=50, seed=seed) for seed in (0, 0, 1))
    assert first == again and first.value == other.value and first[1:] != other[1:]


def test_as_many_draws_are_made_as_were_asked_for():
    draws = [evaluation.accuracy(np.arange(50) % 2, np.arange(50) % 3 % 2, resamples=count) for count in (1, 2, 2000)]
    assert draws[0].low == draws[0].high and draws[1].high - draws[1].low < draws[2].high - draws[2].low


def test_the_interval_of_many_texts_is_drawn_in_parts_and_is_the_same():
    right = np.random.default_rng(5).random(9000) < 0.8
    draws = np.random.default_rng(0).integers(0, 9000, (2000, 9000))
    low, high = np.quantile(right[draws].mean(axis=1), [0.025, 0.975])
    assert evaluation.accuracy(np.ones(9000), right) == (right.mean(), low, high)
    tracemalloc.start()
    evaluation.accuracy(np.ones(200_000, dtype=int), np.ones(200_000, dtype=int), resamples=100)
    assert tracemalloc.get_traced_memory()[1] < 2**28  # all draws together take 320 MB
    tracemalloc.stop()


def test_a_differences_interval_follows_what_is_asked_for():
    labels, first, second = np.arange(60) % 2, np.arange(60) % 3 % 2, np.arange(60) % 5 % 2

    def width(**asked):
        found = evaluation.difference(labels, first, second, **asked)
        return found.high - found.low
    assert 0 == width(resamples=1) < width(confidence=0.5) < width()
    assert evaluation.difference(labels, first, second, seed=1) != evaluation.difference(labels, first, second)


def test_an_interval_is_told_from_below():
    assert str(evaluation.Interval(0.8, 0.715, 0.96)) == "80.0 % (71.5–96.0)"


@pytest.mark.parametrize("score", [evaluation.accuracy, lambda *two: evaluation.difference(*two, two[1]),
                                   lambda *two: evaluation.mcnemar(*two, two[1]),
                                   lambda *two: evaluation.both_right([(0, 1)], *two)])
def test_names_are_not_compared_with_numbers(score):
    """They are never equal: what ``predict`` gives, held against numbers, would score 0."""
    for two in (([0, 1], ["no", "yes"]), (["no", "yes"], [0, 1]), ([0, 1], np.array(["no", "yes"], dtype=object))):
        with pytest.raises(ValueError, match="must both be numbers or both be names, not"):
            score(*two)
    assert evaluation.accuracy(["no", "yes"], ["no", "no"]).value == 0.5


def test_what_cannot_be_compared_is_said():
    with pytest.raises(ValueError, match="one run with one run"):
        evaluation.mcnemar([0, 1], [0, 1], [[0, 1], [1, 1]])
    with pytest.raises(ValueError, match="equally long"):
        evaluation.accuracy([0, 1], [[[0, 1]]])
    for pairs in ([0, 1, 1], [[0], [1]], np.zeros((0, 2))):
        with pytest.raises(ValueError, match="equally long"):
            evaluation.both_right([(0, 1)], [0, 1], pairs)
    for wrong in ({"resamples": 0}, {"confidence": 95}, {"confidence": 0}, {"confidence": 1}):
        with pytest.raises(ValueError, match="resamples is 1 or more and confidence lies between 0 and 1"):
            evaluation.accuracy([0, 1], [0, 1], **wrong)
