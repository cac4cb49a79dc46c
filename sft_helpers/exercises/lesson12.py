"""Checks of lesson 12, errors and data."""

from math import comb

import numpy as np

from .answers import WrongFormError, as_list, close, exercise, function, number


def _at_least(n, rate, least):
    return sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(least, n + 1))


@exercise("12.1")
@function
def _luck(luck):
    slices, n, rate, least = 20, 9, 0.15, 4

    def right(slices, n, rate, least):
        return 1 - (1 - _at_least(n, rate, least)) ** slices

    got, one = number(luck(slices, n, rate, least)), _at_least(n, rate, least)
    if close(got, right(slices, n, rate, least)):
        for case in ((1, 5, 0.3, 2), (60, 12, 0.15, 12), (7, 10, 0.2, 0)):
            if not close(number(luck(*case)), right(*case)):
                return f"right for {slices, n, rate, least}, wrong for {case}: use all four arguments."
        return None
    exactly = comb(n, least) * rate**least * (1 - rate) ** (n - least)
    if close(got, one):
        return "that is the chance of one slice; you have looked at several."
    if close(got, slices * one):
        return ("adding the chances counts twice what happens in two slices at once, and can exceed 1: take one minus "
                "the chance that no slice is so bad.")
    if close(got, one**slices):
        return "that is the chance that *all* slices are so bad; at least one is asked for."
    if close(got, (1 - one) ** slices):
        return "that is the chance that no slice is so bad; take what is left of 1."
    if close(got, 1 - (1 - exactly) ** slices):
        return "at least so many errors: five, six and more count as well as exactly four."
    if close(got, right(slices, n, rate, least + 1)):
        return "at least four errors includes four: you have begun one too late."
    if close(got, right(1, slices * n, rate, least)):
        return "the errors of all slices were thrown together; they have to fall into the same slice."
    return (f"with {slices} slices of {n} texts, {rate:.0%} misread, the chance that some slice has {least} errors or "
            f"more is not {got:.3g}; first the chance of one slice, then of at least one among all.")


@exercise("12.2")
@function
def _worth(worth):
    wrong = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    member = np.arange(12) < 4

    def ask(wrong, member):
        return number(worth(wrong.copy(), member.copy()))

    got = ask(wrong, member)
    if close(got, 2.5):
        if not close(ask(wrong, ~member), 0):
            return "right so far; a slice that is read better than the rest is worth 0, not less."
        with np.errstate(all="ignore"):
            whole = ask(wrong, np.ones(12, dtype=bool))
        if not close(whole, 0):
            return "right so far; if every text belongs to the slice there is no rest to catch up with: 0."
        random = np.random.default_rng(0)
        wrong, member = random.random(80) < 0.3, random.random(80) < 0.4
        wrong |= member & (random.random(80) < 0.3)
        if not close(ask(wrong, member), max(wrong[member].sum() - member.sum() * wrong[~member].mean(), 0)):
            return "right for 12 texts, wrong for 80: use the arguments, not fixed numbers."
        return None
    if close(got, 3):
        return "3 is the number of its errors; no slice can be had without any. How many are more than usual?"
    if close(got, 3 - 4 * 4 / 12):
        return "the rest means the other texts: yours is the rate over all, in which the slice itself takes part."
    if close(got, 3 / 4 - 1 / 8):
        return "that is the difference of the rates; times the number of texts in the slice it becomes errors."
    if close(got, 12 * (3 / 4 - 1 / 8)) or close(got, 8 * (3 / 4 - 1 / 8)):
        return "multiply by the number of texts in the slice; the others stay as they are."
    if close(got, 6):
        return "the ratio of the rates says nothing about how many errors there are to win."
    if close(got, 2):
        return "errors minus errors: the two parts are not equally large, so compare rates."
    return (f"here 3 of 4 texts of the slice are misread and 1 of 8 others; at the others' rate the slice would have "
            f"half an error, so 2.5 would vanish, not {got:.3g}.")


@exercise("12.3")
@function
def _folds(folds):
    def ask(groups, k):
        found = as_list(folds(list(groups), k))
        if len(found) != len(groups):
            raise WrongFormError(f"give back one fold number for each text, {len(groups)} here, not {len(found)} "
                                 "things.")
        return np.array([number(fold) for fold in found])

    cases = (("abacdbefgaedhc", 3), ([7, 7, 1, 1, 2, 2, 5, 5, 4, 4, 3, 3], 4),
             ([group for group in range(12) for _text in range(1 if group % 2 else 6)], 2),
             ([10 * group for group in range(30)], 5))
    for groups, k in cases:
        found, names = ask(groups, k), np.array(list(groups))
        if not set(found) <= set(range(k)):
            return (f"fold numbers run from 0 to k - 1; with k = {k} you gave "
                    f"{', '.join(f'{fold:g}' for fold in sorted(set(found)))}.")
        for name in sorted(set(names)):
            if len(set(found[names == name])) > 1:
                return (f"group {str(name)!r} was torn: its texts are in folds "
                        f"{sorted(int(fold) for fold in set(found[names == name]))}. Give a group one fold.")
        sizes, largest = np.bincount(found.astype(int), minlength=k), max(np.unique(names, return_counts=True)[1])
        if not sizes.all():
            return f"with k = {k} some fold is empty: the folds have {sizes.tolist()} texts."
        if sizes.max() - sizes.min() > largest:
            return (f"no group is torn, but the folds have {sizes.tolist()} texts where no group has more than "
                    f"{largest}: give each group to the fold that is smallest so far.")
    return None


@exercise("12.4")
@function
def _estimated(estimated_errors):
    joint, counts = np.array([[30, 2, 8], [0, 20, 0], [3, 3, 6]]), np.array([60, 50, 18])

    def right(joint, counts):
        sums = joint.sum(axis=1)
        return sum((counts[i] * (sums[i] - joint[i, i]) / sums[i]) for i in range(len(joint)) if sums[i])

    def ask(joint, counts):
        return number(estimated_errors(joint.copy(), counts.copy()))

    got = ask(joint, counts)
    scaled = joint / joint.sum(axis=1, keepdims=True) * counts[:, None]
    if close(got, right(joint, counts)):
        empty = (np.array([[4, 4], [0, 0]]), np.array([10, 5]))
        try:
            with np.errstate(all="ignore"):
                found = ask(*empty)
        except ZeroDivisionError:
            found = np.nan
        if not close(found, 5):
            return ("right so far; where no text of a label passed a bar its row is empty and 0 / 0: count no error "
                    "there.")
        other = np.random.default_rng(0).integers(1, 20, (5, 5))
        if not close(ask(other, 3 * other.sum(axis=1) + np.arange(5)),
                     right(other, 3 * other.sum(axis=1) + np.arange(5))):
            return "right for three labels, wrong for five: use the arguments, not fixed numbers."
        return None
    if close(got, joint.sum() - np.trace(joint)):
        return "these are the texts off the diagonal as counted; scale each row first, so that it adds up to `counts`."
    if close(got, (joint.sum() - np.trace(joint)) * counts.sum() / joint.sum()):
        return "one factor for the whole table: each row has its own, for labels differ in how many texts pass a bar."
    if close(got, np.trace(scaled)):
        return "these are the labels that are right; the wrong ones stand off the diagonal."
    if close(got, right(joint, counts) / counts.sum()):
        return "that is the share; the number is asked for."
    columns = joint / joint.sum(axis=0) * counts
    if close(got, columns.sum() - np.trace(columns)):
        return "you scaled the columns; `counts` says how often a label was *given*, and that is the row."
    turned = joint / joint.sum(axis=1) * counts
    if close(got, turned.sum() - np.trace(turned)):
        return "the sums of the rows were spread along the columns: keepdims=True, and `counts[:, None]`."
    if close(got, counts.sum() - np.trace(joint)):
        return "a text that passed no bar is not an error; only what is known of the others is carried over to it."
    return (f"for the row {joint[0].tolist()} and 60 texts that were given its label, a quarter of the row is off the "
            f"diagonal, so 15 of the 60 are expected to be wrong; over all rows yours come to {got:.3g}.")
