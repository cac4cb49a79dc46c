"""Checks of lesson 13, a personal assistant."""

import numpy as np

from .answers import WrongFormError, close, exercise, function, number, plain


def _pair(found, what):
    found = plain(found)
    if found.shape != (2,):
        raise WrongFormError(f"two numbers are wanted, {what}, not something of shape {found.shape}.")
    return float(found[0]), float(found[1])


def _messages(n, seed):
    random = np.random.default_rng(seed)
    return random.permutation(n) / n + 0.001, random.random(n) < 0.6


@exercise("13.1")
@function
def _coverage(coverage_and_accuracy):
    sure = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    right = np.array([True, True, False, True, False, False, True, False])
    got = _pair(coverage_and_accuracy(sure.copy(), right.copy(), 0.6), "coverage and accuracy")
    if got == (0.5, 0.75):
        if _pair(coverage_and_accuracy(sure.copy(), right.copy(), 0.95), "coverage and accuracy") != (0.0, 1.0):
            return "right so far; if nothing is answered the coverage is 0 and the accuracy 1.0: no answer was wrong."
        other = _pair(coverage_and_accuracy(*_messages(50, 1), 0.3), "coverage and accuracy")
        s, r = _messages(50, 1)
        if not np.allclose(other, ((s >= 0.3).mean(), r[s >= 0.3].mean())):
            return "right for 8 messages, wrong for 50: use the arguments, not fixed numbers."
        return None
    if got == (0.75, 0.5):
        return "the two numbers stand the wrong way round: coverage first."
    if close(got[0], 0.375):
        return "a message whose probability equals the threshold is answered: at least means >=."
    if got[0] in (4, 3):
        return f"coverage is a share between 0 and 1, not a count ({got[0]:g})."
    if close(got[0], 0.5) and close(got[1], 0.375):
        return "divide the right answers by the number of answers, not of all messages."
    if close(got[0], 0.5) and close(got[1], 0.5):
        return "the accuracy is that of the answered messages alone; yours is over all."
    if close(got[0], 0.5) and close(got[1], 0.25):
        return "0.25 is the accuracy of what was handed over; take the messages that are answered."
    if close(got[0], 0.5) and close(got[1], 1.0):
        return "an accuracy of 1 cannot be: one of the four answered messages is wrong here."
    return (f"with probabilities 0.9, 0.8 … 0.2 and a threshold of 0.6 four of eight are answered, three of them "
            f"rightly: 0.5 and 0.75; yours are {got[0]:.3g} and {got[1]:.3g}.")


@exercise("13.2")
@function
def _threshold(threshold_for):
    sure, _ = _messages(40, 0)
    handed = {}
    for by_hand in (0, 5, 20, 39, 40):
        try:
            handed[by_hand] = int((sure < number(threshold_for(sure.copy(), by_hand))).sum())
        except IndexError:
            if by_hand == 40:
                return ("right until somebody reads everything: with to_read = n there is no message left to take the "
                        "threshold from; any number above all of them will do.")
            raise
    if all(got == by_hand for by_hand, got in handed.items()):
        return None
    if all(handed[by_hand] in (39 - by_hand, 40 - by_hand) for by_hand in (5, 39)):
        return "you hand over the messages it is surest of; the least sure ones should go to a person."
    if all(handed[by_hand] == by_hand + 1 for by_hand in (5, 20)):
        return ("one too many is handed over: a message whose probability equals the threshold is answered, so the "
                "threshold is the probability of the first message to be answered.")
    if all(handed[by_hand] == by_hand - 1 for by_hand in (5, 20)):
        return ("one too few is handed over: the threshold is the probability of the first message to be answered, and "
                "below it lie exactly to_read.")
    if handed[5] == 5 and handed[20] == 20 and handed[40] != 40:
        return f"with to_read = 40 all 40 messages should be handed over, not {handed[40]}: go above the highest."
    if handed[5] == 5 and handed[20] == 20 and handed[0] != 0:
        return f"with to_read = 0 none should be handed over, not {handed[0]}."
    if len(set(handed.values())) == 1:
        return f"whatever to_read is, {handed[5]} messages are handed over: let the threshold depend on it."
    return f"with 40 messages and to_read = 5 your threshold hands over {handed[5]} messages instead of 5."


@exercise("13.3")
@function
def _changes(learnt_and_lost):
    truth, before, after = map(np.array, ([0, 0, 1, 1, 2, 2, 2], [0, 1, 0, 1, 2, 0, 1], [1, 0, 1, 1, 2, 2, 0]))
    got = _pair(learnt_and_lost(truth.copy(), before.copy(), after.copy()), "learnt and lost")
    if got == (3, 1):
        rows = [np.random.default_rng(seed).integers(0, 3, 60) for seed in range(3)]
        right = (int(((rows[1] != rows[0]) & (rows[2] == rows[0])).sum()),
                 int(((rows[1] == rows[0]) & (rows[2] != rows[0])).sum()))
        if _pair(learnt_and_lost(*(row.copy() for row in rows)), "learnt and lost") != right:
            return "right for 7 messages, wrong for 60: use the arguments, not fixed numbers."
        return None
    if got == (1, 3):
        return "the two stand the wrong way round: learnt first, lost second."
    if got == (5, 3):
        return "these are all that are right after, and before; count those that changed."
    if got[0] == 5 or got[1] == 5:
        return "5 is the number of answers that changed; a change from one wrong intent to another is neither."
    if got[0] == 2:
        return "2 is the net change, learnt minus lost: the half of the story that the accuracy tells already."
    if close(got[0], 3 / 7) and close(got[1], 1 / 7):
        return "give back counts, not shares."
    return f"on seven messages 3 were learnt and 1 was lost; you found {got[0]:g} and {got[1]:g}."


@exercise("13.4")
@function
def _weights(fair_weights):
    targets, general = [0, 0, 0, 0, 1, 1, 2, 0, 2], [4, 2, 1]
    got = plain(fair_weights(np.array(targets), 2, 3.0))
    if got.shape != (len(targets),):
        return f"one weight for each message is wanted, {len(targets)} here, not something of shape {got.shape}."
    totals = np.bincount(targets, got)
    if np.allclose(totals, general) and close(got[7], 3 * got[0]) and close(got[8], 3 * got[6]):
        if not np.allclose(plain(fair_weights(np.array([0, 1, 1, 1]), 0, 3.0)), 1):
            return ("right with two corrections, wrong with none: then every message counts 1. (A slice [-0:] is the "
                    "whole list, not an empty one.)")
        if not np.allclose(plain(fair_weights(np.array([0, 1, 1]), 1, 2.0)), [1, 1 / 3, 2 / 3]):
            return "right for nine messages, wrong for three: use the arguments, not fixed numbers."
        return None
    if close(got[7], got[0]) and close(got[8], got[6]):
        return "corrections count no more than general messages: put their weight in before the totals are restored."
    if np.allclose(got, [1] * 7 + [3, 3]):
        return "the corrections weigh 3, and intent 0 now has a total of 7 where it had 4: bring the totals back."
    if np.allclose(totals, totals[0]):
        return "every intent has the same total; it should keep its own, here 4, 2 and 1."
    if np.allclose(totals, [5, 2, 2]):
        return "the totals are those of all messages, corrections included; keep those of the general ones: 4, 2 and 1."
    if np.allclose(totals, general):
        return (f"a correction of intent 0 counts {got[7] / got[0]:.3g} times as much as a general message of it, not "
                "3 times.")
    return (f"the intents have totals of {', '.join(f'{total:.3g}' for total in totals)}; they should keep 4, 2 and 1, "
            "those of their general messages.")
