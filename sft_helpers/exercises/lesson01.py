"""Checks of lesson 01, the neuron."""

import math

import numpy as np

from .answers import close, exercise, function, number, plain


@exercise("01.1")
@function
def _neuron(neuron):
    W, a, b = [0.5, -1.0, 2.0], [1.0, 3.0, 0.25], 0.5
    z = 0.5 - 3.0 + 0.5 + 0.5
    right = 1 / (1 + math.exp(-z))
    got = number(neuron(W, a, b))
    if close(got, right):
        try:
            one = number(neuron([2.0], [1.0], -1.0))
        except (IndexError, ValueError):  # three terms written out
            one = math.nan
        if not close(one, 1 / (1 + math.exp(-1.0))):
            return "it works for three inputs and not for one; let the length of W decide how many terms are added."
        return None
    if close(got, z):
        return "this is z, the weighted sum. What does the neuron do with z before it hands it on?"
    if close(got, 1 / (1 + math.exp(-(z - 0.5)))):
        return "the bias b is missing from the sum."
    if close(got, 1 / (1 + math.exp(z))):
        return "the curve runs the wrong way: look at the sign in the exponent of the sigmoid."
    if close(got, math.tanh(z)):
        return "that is tanh; the exercise asks for the sigmoid, which stays between 0 and 1."
    return f"for W={W}, a={a}, b={b} the answer is not {got:.4f}. Multiply in pairs, add up, add b, then squash."


@exercise("01.2")
@function
def _cross_entropy(loss):
    p, y = np.array([0.9, 0.2, 0.6]), np.array([1, 0, 0])
    each = -np.log(np.array([0.9, 0.8, 0.4]))
    got = number(loss(p, y))
    if close(got, each.mean()):
        if not close(number(loss(np.array([0.5, 0.25]), np.array([0, 1]))), 1.5 * math.log(2)):
            return "right for three examples, wrong for two: use the arrays that are given, not fixed numbers."
        return None
    if close(got, -each.mean()):
        return "a loss should be large when the neuron is wrong: mind the minus sign."
    if close(got, each.sum()):
        return "this is the sum; the mean makes losses of few and many examples comparable."
    if close(got, -(y * np.log(p)).mean()):
        return "the examples of class 0 count for nothing here; they need a term of their own."
    if close(got, -np.log(p).mean()):
        return "for an example of class 0 the probability of the right answer is not p. What is it?"
    if close(got, float(np.mean((p - y) ** 2))):
        return "this is the squared error; here the logarithm of the right answer's probability is wanted."
    if close(got, each.mean() / math.log(2)):
        return "you took the logarithm to base 2; the course uses the natural one."
    return f"for p={p.tolist()} and y={y.tolist()} the answer is not {got:.4f}."


@exercise("01.3")
def _xor(weights):
    try:
        W1, b1, w2, b2 = weights
    except (TypeError, ValueError):
        return "give the four parts (W1, b1, w2, b2)."
    if any(part is None or part is ... for part in (W1, b1, w2, b2)):
        return "one of the four parts is still missing."
    W1, b1, w2, b2 = (plain(part) for part in (W1, b1, w2, b2))
    if W1.shape != (2, 2) or b1.shape != (2,) or w2.shape != (2,) or b2.shape != ():
        return (f"the shapes should be (2, 2), (2,), (2,) and (), they are {W1.shape}, {b1.shape}, {w2.shape} and "
                f"{b2.shape}.")
    a = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    hidden = np.maximum(0, a @ W1.T + b1)
    score = hidden @ w2 + b2
    wrong = [tuple(int(x) for x in row) for row, s, lit in zip(a, score, [False, True, True, False], strict=True)
             if (s > 0) != lit]
    if not wrong:
        return None
    if np.allclose(W1[0], W1[1]) and np.isclose(b1[0], b1[1]):
        return "both hidden neurons are the same, so they are worth one. Let one of them fire only for (1, 1)."
    if len(wrong) == 4:
        turned = "all four answers are the wrong way round: turn the signs of w2 and b2"
        return turned + ("." if (score[[1, 2]] < 0).all() else
                         ", then move b2 up a little, for the lit cases must come out above 0.")
    return (f"wrong for {', '.join(map(str, wrong))}. Try one hidden neuron that counts the ones, and one that fires "
            "only when both are there.")
