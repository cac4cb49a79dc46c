"""Checks of lesson 05, attention."""

import numpy as np
import torch

from .answers import WrongFormError, as_list, close, exercise, function, number, plain

KEYS = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 2.0]])  # not, bad, soup


def _softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


@exercise("05.1")
def _query(q):
    q = plain(q)
    if q.shape != (2,):
        return f"a query of two numbers is wanted, not one of shape {q.shape}."
    weights = _softmax(KEYS @ q / np.sqrt(2))
    share = weights[1]
    if share > 0.9:
        return None
    said = "not, bad, soup get " + ", ".join(f"{weight:.2f}" for weight in weights) + ". "
    if np.ptp(weights) < 1e-9:
        return said + "A query of zeros asks for nothing: all scores are equal."
    if q[1] > 0:
        return said + ("Whatever points up points even more at 'soup', whose key is twice as long. "
                       "What if the query points away from both?")
    if weights[0] >= share:
        if q[0] < 0:
            return said + "'not' is ahead: its score is 2 times your first number. Make that one more negative still."
        return said + "'not' is ahead: its score is 2 times your first number. Make that one negative as well."
    return said + "The direction is right; a longer query makes the softmax more decided."


@exercise("05.2")
@function
def _masked_attention(function):
    Q = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    K = torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, -1.0]])
    V = torch.tensor([[1.0, 0.0, 2.0, 0.0, 1.0], [0.0, 1.0, 0.0, 3.0, 1.0], [4.0, 4.0, 1.0, -2.0, 5.0]])
    everybody = torch.ones(3, 3)
    before = torch.ones(3, 3).tril()
    filling = torch.tensor([1.0, 1.0, 0.0]).expand(3, 3)
    raw, values = (Q @ K.T).numpy(), V.numpy()
    scores = raw / np.sqrt(2)

    def ask(allowed, Q=Q):
        kept = [part.clone() for part in (Q, K, V, allowed)]
        return plain(function(*kept))

    got = ask(everybody)
    if got.shape == (3, 3):
        return "these are the weights; let them mix the values (weights @ V)."
    if got.shape != (3, 5):
        return f"for Q (3, 2), K (3, 2) and V (3, 5) the output has shape (3, 5), not {got.shape}."
    if np.isnan(got).any():
        return "nan appears where everything is allowed: 0 · ∞ is not a number. Use `masked_fill` or `torch.where`."
    likely = {
        "the scores are not divided by the square root of d_k.": _softmax(raw) @ values,
        "divide by the square root of d_k, not by d_k.": _softmax(raw / 2) @ values,
        "the softmax runs down the columns; let the weights of each row sum to 1 (dim=-1).":
            _softmax(scores, axis=0) @ values,
        "the softmax is missing: the weights of each row should sum to 1.": scores @ values,
        "every value counts the same here; weight them by the softmax of the scores.":
            np.broadcast_to(values.mean(axis=0), got.shape),
        "queries and keys have changed places: the rows of the scores belong to the queries.":
            _softmax(scores.T) @ values,
    }
    right = _softmax(scores) @ values
    if not np.allclose(got, right, atol=1e-4):
        if any(np.allclose(got, _softmax(raw / np.sqrt(size)) @ values, atol=1e-4) for size in (3, 5)):
            return "the root is of d_k, the length of a query, not of n or d_v."
        for hint, wrong in likely.items():
            if np.allclose(got, wrong, atol=1e-4):
                return hint
        return "wrong already where everybody may listen to everybody: softmax(Q Kᵀ / √d_k) V."
    return _mask_goes_in_before(ask, scores, values, before, filling)


def _mask_goes_in_before(ask, scores, values, before, filling):
    """The second half of 05.2: without a mask the answer is right."""
    triangle = before.numpy()
    got = ask(before)
    if np.isnan(got).any():
        return ("nan appears with a mask: −∞ · 0 is not a number, and a row of nothing but −∞ has no softmax. "
                "Use `masked_fill` or `torch.where`.")
    if np.allclose(got, _softmax(scores) @ values, atol=1e-4):
        return "`allowed` changes nothing."
    if np.allclose(got, (_softmax(scores) * triangle) @ values, atol=1e-4):
        return "the mask comes after the softmax: the weights of a row no longer sum to 1."
    if np.allclose(got, _softmax(scores * triangle) @ values, atol=1e-4):
        return "a score times 0 is 0, and e⁰ = 1: a forbidden word is still heard. Put −∞ in place of its score."
    if np.allclose(got, _softmax(scores + triangle) @ values, atol=1e-4):
        return "adding the mask itself moves scores by 1 only; add 0 where allowed and −∞ where not."
    forbidden = np.where(triangle == 0, scores, -1e9)
    if np.allclose(got, _softmax(forbidden) @ values, atol=1e-4):
        return "the wrong way round: 1 means allowed."
    if np.allclose(got, _softmax(np.where(triangle.T == 1, scores, -1e9)) @ values, atol=1e-4):
        return "rows and columns of `allowed` have changed places: the row is who listens."
    wanted = _softmax(np.where(triangle == 1, scores, -1e9)) @ values
    if not np.allclose(got, wanted, atol=1e-4) and np.allclose(got, wanted, atol=0.05):
        return "nearly: forbidden words still have a small weight; use −math.inf in place of their scores."
    if not np.allclose(got, wanted, atol=1e-4):
        return "right without a mask, wrong with one: −∞ in place of the forbidden scores, before the softmax."
    wanted = _softmax(np.where(filling.numpy() == 1, scores, -1e9)) @ values
    if not np.allclose(ask(filling), wanted, atol=1e-4):
        return "right for a triangle, wrong for filling: use the `allowed` that is handed over."
    far = torch.tensor([[-200.0, 0.0], [0.0, 2.0], [1.0, 1.0]])  # scores of the first query: 0, -283, -141
    last_only = torch.tensor([[0.0, 1.0, 0.0]] * 3)
    heard = ask(last_only, Q=far)[0]
    if np.isnan(heard).any():
        return ("where real scores are far below 0 you divide by a sum that has become 0: put −∞ in before the "
                "softmax, and nothing has to be restored after it.")
    if not np.allclose(heard, values[1], atol=1e-4):
        return "where real scores are far below 0, your −∞ is not low enough; use −math.inf."
    return None


@exercise("05.3")
@function
def _split_heads(function):
    Y = torch.arange(2 * 5 * 6.0).reshape(2, 5, 6)  # batch 2, n 5, d 6: three heads of 2
    right = Y.view(2, 5, 3, 2).transpose(1, 2).numpy()
    got = plain(function(Y.clone(), 3))
    if got.shape == (2, 5, 3, 2):
        return "the columns are cut rightly; now move the heads before the words (transpose(1, 2))."
    if got.shape == (2, 3, 2, 5):
        return "the last two axes have changed places: (batch, H, n, d_k) is wanted."
    if got.shape == (3, 2, 5, 2):
        return "heads came before the batch: with a batch in front the axes to swap are 1 and 2."
    if got.shape == (2, 2, 5, 3):
        return "you made groups of H numbers; H is how many heads there are, and d_k = d / H."
    if got.shape != right.shape:
        return f"for Y of shape (2, 5, 6) and 3 heads the result has shape (2, 3, 5, 2), not {got.shape}."
    if np.array_equal(got, Y.reshape(2, 3, 5, 2).numpy()):
        return ("the shape is right and the numbers are not: a reshape reads on through the rows, so that a head gets "
                "numbers of other words. Cut the columns first, then swap the axes.")
    if np.array_equal(got, Y.view(2, 5, 2, 3).permute(0, 3, 1, 2).numpy()):
        return "each head takes every third column; it should take d_k columns that stand together."
    if not np.array_equal(got, right):
        return "head h owns the columns h·d_k to (h + 1)·d_k of every word."
    other = torch.arange(2 * 5 * 6.0).reshape(2, 5, 6)
    if not np.array_equal(plain(function(other.clone(), 2)), other.view(2, 5, 2, 3).transpose(1, 2).numpy()):
        return "right for 3 heads, wrong for 2: take H from the arguments and d_k = d / H."
    return None


@exercise("05.4")
@function
def _cover(function):
    words = ["so", "good", "and", "great", "so", "well"]

    def score(given):
        """Praise counts once, however often it is said; each "so" by its place, to see which copy is gone."""
        if given is None:
            raise WrongFormError("`score` was handed None: `remove` changes a list and gives no list back.")
        if isinstance(given, str):
            raise WrongFormError("hand `score` a list of words, not one text.")
        given = as_list(given)
        return 10.0 + 6.0 * bool({"good", "great"} & set(given)) + sum(2.0 ** i for i, w in enumerate(given)
                                                                       if w == "so")

    def wanted(i, j):
        return _effect(words, score, i, j) - _effect(words, score, i) - _effect(words, score, j)

    kept = list(words)
    got = number(function(kept, score, 1, 3))
    if kept != words:
        return "the reader's list is changed by your function: build new lists instead of deleting from it."
    both, single = _effect(words, score, 1, 3), _effect(words, score, 1) + _effect(words, score, 3)
    likely = {
        "this is the effect of leaving out both; take off the two single effects.": both,
        "the sign is the wrong way round: both together, minus each alone.": single - both,
        "the effects are added up; each single effect is to be taken off.": both + single,
        "this is a score, not an effect: score of all words minus score without them.":
            score(["so", "and", "so", "well"]),
        "after word i is gone, word j stands one place further left; leave out both in one go.":
            _effect(words, score, 1, 4) - single,
    }
    if close(got, wanted(1, 3)):
        if not close(number(function(list(words), score, 3, 1)), wanted(3, 1)):
            return "right for i < j, wrong the other way round."
        if not all(close(number(function(list(words), score, i, j)), wanted(i, j)) for i, j in ((0, 1), (1, 4))):
            return "'so' stands there twice: leave out the word at its place, not a word that is equal to it."
        return None
    for hint, wrong in likely.items():
        if close(got, wrong):
            return hint
    return "effect(i, j) − effect(i) − effect(j), each the score of all words minus the score without."


def _effect(words, score, *places):
    return score(words) - score([word for i, word in enumerate(words) if i not in places])
