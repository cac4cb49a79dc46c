"""Checks of lesson 04, Word2Vec."""

import numpy as np

from .answers import as_list, close, exercise, function, number


@exercise("04.1")
@function
def _cosine(function):
    u, v = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    got = number(function(u, v))
    if close(got, 0.96):
        if not close(number(function(10 * u, v)), 0.96):
            return "making u ten times as long must not change the angle."
        if not close(number(function(np.array([1.0, 2.0, 2.0]), np.array([-2.0, -1.0, 2.0]))), 0.0):
            return "right for two numbers, wrong for three: use all of them."
        if not close(number(function(u, -v)), -0.96):
            return "vectors that point apart have a negative cosine."
        return None
    if close(got, 24.0):
        return "this is the dot product; divide by both lengths."
    if close(got, 24 / 5):
        return "you divided by one length only."
    if close(got, 24 / 625):
        return "a length is the square root of the sum of squares."
    if close(got, 0.04):
        return "this is 1 − cosine, the distance."
    return f"for (3, 4) and (4, 3) it is not {got:.4f}."


@exercise("04.2")
@function
def _skipgram(function):
    tokens = ["the", "bus", "came", "late"]
    right = {("the", "bus"), ("bus", "the"), ("bus", "came"), ("came", "bus"), ("came", "late"), ("late", "came")}
    pairs = as_list(function(tokens, 1))
    if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        return "give back a list of pairs (centre, context)."
    got = {tuple(pair) for pair in pairs}
    if got == right and len(pairs) == len(right):
        wide = [tuple(pair) for pair in as_list(function(tokens, 2))]
        if ("bus", "came") in wide and ("bus", "the") not in wide:
            return ("right for a window of 1, wrong for 2: near the start i − window is negative, and such a slice is "
                    "empty. Begin at max(0, i − window).")
        farther = {("the", "came"), ("came", "the"), ("bus", "late"), ("late", "bus")}
        if set(wide) != right | farther or len(wide) != 10:
            return "right for a window of 1, wrong for 2: the window is how far away a context word may stand."
        twice = as_list(function(["so", "so", "bread"], 1))
        if len(twice) != 4:
            return "a word that occurs twice in the text makes trouble: compare places, not words."
        return None
    if any(a == b for a, b in got):
        return "a word is not its own context: leave the centre's own place out."
    if got and got < right and all(tokens.index(a) < tokens.index(b) for a, b in got):
        return "you look to the right only; the window opens to both sides."
    if got and got < right and all(tokens.index(a) > tokens.index(b) for a, b in got):
        return "you look to the left only; the window opens to both sides."
    if ("the", "late") in got or ("late", "the") in got:
        return "a place before the first word wraps round to the end of the list: Python takes −1 as the last."
    if got > right:
        return "the window reaches too far."
    return f"for {tokens} and a window of 1 there are {len(right)} pairs."


@exercise("04.3")
@function
def _nearest(function):
    vectors = {"good": np.array([1.0, 0.1]), "fine": np.array([8.0, 1.0]), "bus": np.array([0.1, 1.0]),
               "late": np.array([0.9, 0.9]), "rude": np.array([-1.0, 0.0]), "vast": np.array([40.0, 50.0])}
    got = as_list(function("good", vectors))
    if got and all(isinstance(entry, tuple | list) for entry in got):
        return "give back the words alone, without their cosines."
    if "good" in got:
        return "every word is nearest to itself: leave it out."
    if got == ["fine", "late", "vast", "bus", "rude"]:
        if as_list(function("bus", vectors))[:2] != ["vast", "late"]:
            return "right for 'good', wrong for 'bus': compare with the word that was asked for."
        return None
    if got == ["vast", "fine", "late", "bus", "rude"]:
        return "long vectors come first: that is the dot product. Divide by the lengths."
    if got == ["rude", "bus", "vast", "late", "fine"]:
        return "this is the furthest first: turn the order round."
    if got[:1] == ["late"]:
        return "that looks like distance, not direction: 'fine' points the same way as 'good' and is only longer."
    return "sort all other words by their cosine with the word, the largest first."
