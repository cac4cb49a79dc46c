"""Right and wrong answers to the exercises of lesson 13, each wrong one with a part of its hint."""

import numpy as np
import torch


def coverage(sure, right, threshold, answered=lambda sure, threshold: sure >= threshold, empty=1.0):
    mask = answered(sure, threshold)
    return mask.mean(), right[mask].mean() if mask.any() else empty


def threshold_for(sure, by_hand):
    return np.append(np.sort(sure), np.inf)[by_hand]


def halfway(sure, by_hand):
    ordered = [-1.0, *sorted(sure.tolist()), 2.0]
    return (ordered[by_hand] + ordered[by_hand + 1]) / 2


def learnt_and_lost(truth, before, after):
    return ((before != truth) & (after == truth)).sum(), ((before == truth) & (after != truth)).sum()


def weights(targets, corrections, weight, totals="general"):
    targets, general = np.array(targets), len(targets) - corrections
    counts = np.ones(len(targets))
    counts[general:] = weight
    for intent in set(targets.tolist()):
        mine = targets == intent
        wanted = {"general": mine[:general].sum(), "all": mine.sum(),
                  "equal": len(targets) / len(set(targets.tolist()))}
        counts[mine] *= wanted[totals] / counts[mine].sum()
    return counts


def unbalanced(targets, corrections, weight):
    counts = np.ones(len(targets))
    counts[len(targets) - corrections:] = weight
    return counts


def by_masks(targets, corrections, weight):
    counts, general = np.ones(len(targets)), np.arange(len(targets)) < len(targets) - corrections
    counts[~general] = weight
    for intent in set(targets):
        mine = targets == intent
        counts[mine] *= (mine & general).sum() / counts[mine].sum()
    return counts


RIGHT = {
    "13.1": [coverage, lambda sure, right, threshold: torch.tensor(coverage(sure, right, threshold)),
             lambda sure, right, threshold: [float(np.mean(sure >= threshold)),
                                             float(np.mean([r for s, r in zip(sure, right, strict=True)
                                                            if s >= threshold] or [1]))]],
    "13.2": [threshold_for, halfway],
    "13.3": [learnt_and_lost, lambda truth, before, after: np.array(learnt_and_lost(truth, before, after))],
    "13.4": [weights, by_masks, lambda *given: weights(*given).tolist()],
}

WRONG = {
    "13.1": [(lambda s, r, t: coverage(s, r, t, lambda s, t: s > t), "at least means >="),
             (lambda s, r, t: coverage(s, r, t)[::-1], "the wrong way round"),
             (lambda s, r, t: (np.mean(s >= t), np.mean(r[s >= t]) * np.mean(s >= t)), "divide the right answers by"),
             (lambda s, r, t: (np.mean(s >= t), np.mean(r)), "yours is over all"),
             (lambda s, r, t: ((s >= t).sum(), r[s >= t].mean()), "not a count"),
             (lambda s, r, t: coverage(s, r, t, empty=0.0), "no answer was wrong"),
             (lambda s, r, t: (np.mean(s >= t), r[s < t].mean()), "of what was handed over"),
             (lambda s, r, t: (0.5, 0.75) if t < 0.9 else (0.0, 1.0), "use the arguments"),
             (lambda s, r, t: (np.mean(s >= t), 1.0), "an accuracy of 1 cannot be"),
             (lambda s, r, t: np.mean(s >= t), "two numbers are wanted")],
    "13.2": [(lambda s, k: np.sort(s)[::-1][k] if k < len(s) else -1, "surest of"),
             (lambda s, k: np.append(np.sort(s), 9)[k] + 1e-9, "one too many"),
             (lambda s, k: np.sort(s)[k - 1] if k else 0, "one too few"),
             (lambda s, k: np.sort(s)[k], "until somebody reads everything"),
             (lambda s, k: threshold_for(s, max(k, 1)), "with to_read = 0"),
             (lambda s, k: np.sort(s)[min(k, len(s) - 1)], "go above the highest"),
             (lambda s, k: 0.5, "whatever to_read is"),
             (lambda s, k: k / len(s) / 2, "hands over")],
    "13.3": [(lambda t, b, a: learnt_and_lost(t, a, b), "the wrong way round"),
             (lambda t, b, a: ((a == t).sum(), (b == t).sum()), "all that are right after, and before"),
             (lambda t, b, a: ((b != a).sum(), 0), "answers that changed"),
             (lambda t, b, a: (3, (b != a).sum()), "answers that changed"),
             (lambda t, b, a: ((a == t).sum() - (b == t).sum(), 0), "net change"),
             (lambda t, b, a: ((a == t).sum() - (b == t).sum(), learnt_and_lost(t, b, a)[1]), "net change"),
             (lambda t, b, a: [x / len(t) for x in learnt_and_lost(t, b, a)], "not shares"),
             (lambda t, b, a: (3, 1), "use the arguments"),
             (lambda t, b, a: (0, 0), "3 were learnt and 1 was lost")],
    "13.4": [(unbalanced, "bring the totals back"),
             (lambda t, c, w: weights(t, c, 1.0), "count no more than general messages"),
             (lambda t, c, w: weights(t, c, w, "equal"), "every intent has the same total"),
             (lambda t, c, w: weights(t, c, w, "all"), "corrections included"),
             (lambda t, c, w: weights(t, c, w * w), "9 times as much"),
             (lambda t, c, w: weights(t, c, w) / len(t), "they should keep 4, 2 and 1"),
             (lambda t, c, w: weights(t, c or len(t), w) if c else 2 * np.ones(len(t)), "wrong with none"),
             (lambda t, c, w: weights(t, c, 3.0), "wrong for three"),
             (lambda t, c, w: 1.0, "one weight for each message")],
}
