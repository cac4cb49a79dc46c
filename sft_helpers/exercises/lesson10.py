"""Checks of lesson 10, trust the number."""

import math

import numpy as np

from .answers import WrongFormError, as_list, close, exercise, function, number


@exercise("10.1")
@function
def _lazy_scores(lazy_scores):
    def ask(s):
        found = as_list(lazy_scores(s))
        if len(found) != 3:
            raise WrongFormError("give back three numbers: accuracy, micro F1, macro F1.")
        return [number(part) for part in found]

    accuracy, micro, macro = ask(0.9)
    f1 = 2 * 0.9 / 1.9
    if not close(accuracy, 0.9):
        if close(accuracy, 0.1):
            return "0.1 is the share of mistakes: it says A, and the share s is A."
        return f"it says A to all, and 0.9 of the texts are A; the accuracy is not {accuracy:.4f}."
    if not close(micro, 0.9):
        if close(micro, f1):
            return "micro F1: that is the F1 of A alone; add up the counts of both labels first."
        return (f"the accuracy is right, micro F1 is not {micro:.4f}. Each text that is missed is one FP (of A) and "
                "one FN (of B): add up, then compute one F1.")
    if close(macro, f1):
        return "macro F1: that is the F1 of A alone; B has an F1 too, it is 0, and it counts in the mean."
    if close(macro, (0.9 + 1) / 2 / 2):
        return "F1 is the harmonic mean of precision (s) and recall (1), not the plain one."
    if close(macro, 0.45):
        return "the F1 of A is not s: its precision is s, but its recall is 1."
    if close(macro, 0.9 * f1):
        return "the two F1 are averaged with equal weight, not by the labels' shares: that is what macro means."
    if not close(macro, f1 / 2):
        return f"accuracy and micro F1 are right, macro F1 is not {macro:.4f}: the mean of A's F1 and B's."
    for s in (0.5, 0.2, 1.0):
        if not all(close(got, wanted) for got, wanted in zip(ask(s), (s, s, s / (1 + s)), strict=True)):
            return f"right for s = 0.9, wrong for s = {s}" + (
                ": B's F1 is 0 even if no text is B, and there are always two labels." if s == 1 else ".")
    return None


def _lists(both, first, second, neither):
    """Labels and two predictions, shuffled, with three labels in use, so that two wrong answers may differ."""
    labels = np.arange(both + first + second + neither) % 3
    right = np.array([[1, 1]] * both + [[1, 0]] * first + [[0, 1]] * second + [[0, 0]] * neither).T
    wrong = (labels + 1) % 3, (labels + 2) % 3
    order = np.random.default_rng(0).permutation(len(labels))
    return [found[order] for found in (labels, np.where(right[0], labels, wrong[0]),
                                       np.where(right[1], labels, wrong[1]))]


def _p(won, lost):
    n = won + lost
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(max(won, lost), n + 1)) / 2**n)


@exercise("10.2")
@function
def _p_value(p_value):
    def ask(*numbers, as_lists=False):
        given = _lists(*numbers)
        return number(p_value(*(found.tolist() for found in given)) if as_lists else p_value(*given))

    got, won, lost, n = ask(20, 12, 4, 9), 12, 4, 16
    right = _p(won, lost)
    above = sum(math.comb(n, k) for k in range(13, 17)) / 2**n
    if close(got, right / 2):
        return "that is one side only; a gap the other way round would have been as large: times 2."
    if close(got, 2 * above) or close(got, above):
        return "\"at least as unevenly\" includes the split that was seen: begin the sum at max(b, c) itself."
    if close(got, math.comb(n, won) / 2**n) or close(got, 2 * math.comb(n, won) / 2**n):
        return "that is the chance of exactly this split; add up all that are at least as uneven."
    if close(got, _p(12, 4 + 9)) or close(got, _p(25, 12)) or close(got, _p(25, 16)):
        return "texts that both get wrong say nothing, even if the two wrong answers differ: compare right with wrong."
    if close(got, _p(32, 24)) or close(got, _p(32, 13)):
        return "texts that both get right say nothing: count only those where exactly one is right."
    if close(got, math.erfc(math.sqrt((won - lost) ** 2 / n / 2)), 1e-3) or close(
            got, math.erfc(math.sqrt((won - lost - 1) ** 2 / n / 2)), 1e-3):
        return "that is the χ² approximation; the exact test adds up binomial chances."
    if close(got, 1 - right):
        return "that is 1 − p."
    if not close(got, right):
        return (f"12 texts that only the first gets right, 4 that only the second does: p is not {got:.4f}. Sum "
                "C(16, k) / 2¹⁶ from k = 12 on, and double it.")
    if not close(ask(20, 4, 12, 9), right):
        return "right where the first leads, wrong where the second does: begin at the larger of b and c."
    got = ask(7, 6, 6, 5)
    if not close(got, 1):
        return f"with 6 against 6 you give {got:.4f}: a chance is at most 1."
    try:
        none = ask(7, 0, 0, 5)
    except (ZeroDivisionError, ValueError):
        none = math.nan
    if not close(none, 1):
        return "without a text on which exactly one is right p is 1."
    try:
        many = ask(500, 700, 600, 3)
    except (ArithmeticError, TypeError):
        many = math.nan
    if not close(many, _p(700, 600)):
        return ("right for few texts, wrong for 1,300 disagreements, where NumPy's whole numbers overflow: make b and "
                "c `int`, and keep to whole numbers until the last division.")
    return None if close(ask(20, 12, 4, 9, as_lists=True), right) else (
        "right for arrays, wrong for plain lists: two lists that are compared with == give a single True or False.")


@exercise("10.3")
@function
def _calibration_error(calibration_error):
    def ask(confidence, right, bins):
        with np.errstate(all="ignore"):
            return number(calibration_error(np.array(confidence), np.array(right), bins))

    confidence = [0.62, 0.68, 0.71, 0.93, 0.97, 0.99, 0.95, 0.31]
    right = [1, 0, 0, 1, 1, 0, 1, 1]
    c, r = np.array(confidence), np.array(right)
    place = np.minimum((c * 5).astype(int), 4)
    gaps = {k: np.mean(r[place == k]) - np.mean(c[place == k]) for k in set(place.tolist())}
    share = {k: np.mean(place == k) for k in gaps}
    wanted = sum(share[k] * abs(gaps[k]) for k in gaps)
    got = ask(confidence, right, 5)
    if math.isnan(got):
        return "nan: the mean of an empty bin is not a number; leave empty bins out."
    if close(got, abs(sum(share[k] * gaps[k] for k in gaps))) or close(got, sum(share[k] * gaps[k] for k in gaps)):
        return "gaps of opposite sign must not cancel: take the absolute value in each bin."
    if close(got, np.mean([abs(gap) for gap in gaps.values()])):
        return "each bin weighs by its share of the texts, not all alike."
    if close(got, sum(abs(gap) for gap in gaps.values()) / 5):
        return "each bin weighs by its share of the texts; here all count alike, the empty ones included."
    if close(got, max(abs(gap) for gap in gaps.values())):
        return "that is the largest gap (known as MCE); ECE is the weighted mean."
    if close(got, np.mean(np.abs(r - c))):
        return "that is the gap of each single text; first the means of a bin, then their difference."
    if close(got, sum(share[k] * gaps[k] ** 2 for k in gaps)):
        return "the absolute gap is wanted, not its square."
    if close(got, sum(share[k] * abs(np.mean(r[place == k]) - (k + 0.5) / 5) for k in gaps)):
        return "compare with the mean confidence in the bin, not with the bin's middle."
    if close(got, 100 * wanted):
        return "as a share from 0 to 1, please, not in points."
    if not close(got, wanted):
        return f"with five bins for {confidence} and {right} the ECE is not {got:.4f}."
    if not close(ask([1.0, 1.0, 0.9], [0, 1, 1], 2), abs(2 / 3 - 2.9 / 3)):
        return "a confidence of exactly 1 belongs to the last bin; does yours lose it?"
    if not close(ask([0.5, 0.4], [1, 1], 2), 0.5 * 0.5 + 0.5 * 0.6) or not close(ask([0.0, 0.3], [1, 1], 2), 0.85):
        return "a confidence on an edge belongs to the bin above it, and 0 to the first."
    return None if close(ask(confidence, right, 1), abs(r.mean() - c.mean())) else (
        "right for five bins, wrong for one: use the argument `bins`.")


def _loss(logits, labels, T):
    z = logits / T
    z = z - z.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels])


def _best(logits, labels):
    """The temperature by golden section, on the logarithm of T; the loss has a single lowest point."""
    low, high, step = math.log(0.1), math.log(10), (math.sqrt(5) - 1) / 2
    while high - low > 1e-7:
        a, b = high - step * (high - low), low + step * (high - low)
        if _loss(logits, labels, math.exp(a)) < _loss(logits, labels, math.exp(b)):
            high = b
        else:
            low = a
    return math.exp((low + high) / 2)


def _drawn(T, labels, texts=600, scale=1.5):
    """Logits that are too large by a factor T, and labels drawn from softmax(logits / T)."""
    random = np.random.default_rng(3)
    z = scale * random.normal(size=(texts, labels))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return T * z, np.array([random.choice(labels, p=row) for row in p])


@exercise("10.4")
@function
def _temperature(temperature):
    def ask(logits, labels):
        with np.errstate(all="ignore"):
            return number(temperature(logits.copy(), labels.copy()))

    def near(got, wanted):
        return abs(got - wanted) <= 0.011 * wanted

    logits, labels = _drawn(3.0, 3)
    got, wanted = ask(logits, labels), _best(logits, labels)
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    if math.isnan(got):
        return "nan: subtract each text's largest logit before the exponential, then nothing overflows."
    if near(got, 1 / wanted):
        return "you multiply by it: the logits are to be divided by T."
    if near(got, math.log(wanted)):
        return "that is log T; give back T."
    if near(got, _best(softmax, labels)) and not near(got, wanted):
        return "the logits themselves are divided by T, not probabilities."
    loss = _loss(logits, labels, wanted)
    if close(got, loss, 1e-3):
        return "that is the lowest cross-entropy; the T that reaches it is wanted."
    if got <= 0.1001 or got >= 9.99:
        return (f"{got:g} is an end of the range: is it the lowest cross-entropy that you look for? (The accuracy is "
                "the same for every T.)")
    if not near(got, wanted):
        return (f"the cross-entropy at T = {got:.3f} is {_loss(logits, labels, got):.4f}, and elsewhere it is "
                f"{loss:.4f}. To within one per cent: make the steps finer.")
    for T, count in ((0.3, 2), (7.0, 4)):
        logits, labels = _drawn(T, count)
        got, wanted = ask(logits, labels), _best(logits, labels)
        if not near(got, wanted):
            return (f"right for three labels and a T near 3; for {count} labels and a T near {wanted:.1f} you give "
                    f"{got:.3f}. Search from 0.1 to 10, as finely at its lower end.")
    logits, labels = _drawn(6.0, 3, scale=60)
    if not np.isfinite(got := ask(logits, labels)) or not near(got, _best(logits, labels)):
        return ("right for small logits; with logits in the hundreds the exponential overflows: subtract each text's "
                "largest first.")
    return None
