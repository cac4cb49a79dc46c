"""Checks of lesson 03, text preprocessing."""

import numpy as np

from .answers import as_list, close, exercise, function, number, plain


@exercise("03.1")
@function
def _keep_negation(function):
    got = as_list(function("The soup was NOT bad, no, they never rushed us and it was NOT cold."))
    if "NOT" in got:
        return "lower-case before you compare: 'NOT' is a negation as well."
    lost = [word for word in ("not", "never", "no") if word not in got]
    if lost:
        return f"negations got lost: {', '.join(lost)}. Take them out of the stop list."
    if {",", "."} & set(got):
        return "punctuation is still there; `preprocess_text` drops it."
    if {"the", "was", "and", "they", "us", "it"} & set(got):
        return "stop words are still there; only the negations should be saved from the list."
    if got != ["soup", "not", "bad", "no", "never", "rushed", "not", "cold"]:
        return "the words that are left should stand in the order of the text, each as often as there."
    if "n't" not in as_list(function("It isn't good")):
        return "'isn't' is cut into 'is' and 'n't': save \"n't\" as well."
    return None


@exercise("03.2")
@function
def _out_of_vocabulary(rate):
    train = [["good", "soup"], ["cold", "soup"]]
    test = [["good", "bread", "bread"], ["cold", "cold", "tea", "soup"]]
    got = number(rate(train, test))
    if close(got, 3 / 7):
        if not close(number(rate([["cold", "soup"]], [["old", "soup"]])), 0.5):
            return "'old' is unknown where only 'cold' is known: look among the tokens, not in a text of them."
        return None
    if any(close(got, share) for share in (2 / 5, 2 / 7, 3 / 5)):
        return "you counted different words; a word that occurs twice counts twice here."
    if close(got, 4 / 7):
        return "that is the share of known words."
    if close(got, 1.0):
        return ("all of it is unknown? `train` is a list of lists, and no token is in it: collect the tokens first. "
                "(Or you counted texts with an unknown word; here it is tokens.)")
    if close(got, 0.0):
        return "nothing is unknown? Then the test texts had a say in the vocabulary."
    if close(got, 300 / 7):
        return "a share between 0 and 1 is wanted, not per cent."
    return f"it is not {got:.3f}: unknown tokens of the test texts, divided by all tokens of the test texts."


@exercise("03.3")
@function
def _masked_mean(function):
    values = np.array([[1.0, 3.0, 0.0, 0.0], [2.0, 4.0, 6.0, 8.0]])
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]])

    def ask(values, mask):
        found = plain(function(values, np.array(mask)))
        return found[:, 0] if found.shape == (2, 1) else found  # keepdims does no harm

    got = ask(values, mask)
    if got.shape == (2,) and np.allclose(got, [2.0, 5.0]):
        dirty = np.array([[1.0, 3.0, 99.0, 99.0], [2.0, 4.0, 6.0, 8.0]])
        if not np.allclose(ask(dirty, mask), [2.0, 5.0]):
            return "it trusts that padding holds zeros. After a layer of a network it does not: multiply by the mask."
        if not np.allclose(ask(values, [[0, 1, 0, 0], [0, 1, 0, 1]]), [3.0, 6.0]):
            return "it trusts that the real tokens come first, or that there are several; let the mask decide."
        empty = ask(values, [[0, 0, 0, 0], [1, 1, 1, 1]])
        if not np.isfinite(empty).all():
            return "a text without any real token is divided by zero; let the divisor be at least 1."
        if empty[0] != 0:
            return "a text without any real token should get 0."
        return None
    if got.shape == (2,) and np.allclose(got, [1.0, 5.0]):
        return "padding was averaged in: divide by the number of real tokens, not by the width."
    if got.shape == (4,):
        return "this is the mean over texts; average over the tokens of each text (axis=1)."
    if got.shape == (2,) and np.allclose(got, [4.0, 20.0]):
        return "this is the sum over real tokens: divide it by how many there are."
    return "for each row: the sum of value × mask, divided by the sum of the mask."
