"""Your turn: guesses written down before a result, and checks that answer with a hint."""

import json
import math
import os
from pathlib import Path

import numpy as np

LEDGER = "predictions.json"  # beside the notebook, ignored by git

_checks = {}
_guesses = {}
_solved = set()


def predict(key, guess=None):
    """Write down a guess before the result is seen. Leaving it out blocks nothing.

    Parameters
    ----------
    key : str
        Such as ``"01.2"``.
    guess : float, optional
    """
    if guess is None:
        print(f"Prediction {key}: put your guess in place of None, if you like, and run this cell again.")
        return
    _guesses[key] = guess
    _write(key, {"guess": guess})
    print(f"Prediction {key}: {guess} is written down.")


def outcome(key, value):
    """Put what came out beside the guess, if there was one.

    Parameters
    ----------
    key : str
    value : float
    """
    if key in _guesses:
        _write(key, {"guess": _guesses[key], "outcome": float(value)})
        print(f"You guessed {_guesses[key]}; it came out as {value:.3g}.")


def check(key, answer=None):
    """Check the answer to an exercise: "solved", or a hint.

    Parameters
    ----------
    key : str
        Such as ``"01.2"``.
    answer : object, optional
        What the exercise asks for; None or ``...`` means not tried yet.

    Raises
    ------
    KeyError
        There is no exercise of this name.
    """
    if key not in _checks:
        raise KeyError(f"There is no exercise {key}; there are {', '.join(sorted(_checks))}.")
    if answer is None or answer is ...:
        print(f"Exercise {key}: not tried yet.")
        return
    try:
        hint = _checks[key](answer)
    except NotImplementedError:
        print(f"Exercise {key}: not tried yet.")
        return
    except Exception as error:  # the reader's own code: whatever it raises is told, not thrown
        hint = f"your code stops with {type(error).__name__}: {error}"
    if hint:
        _solved.discard(key)
        print(f"Exercise {key}: not yet – {hint}")
    else:
        _solved.add(key)
        print(f"Exercise {key}: solved ✓")


def progress(lesson):
    """Print which exercises of a lesson are solved in this kernel.

    Parameters
    ----------
    lesson : str
        Such as ``"01"``.
    """
    keys = [key for key in sorted(_checks) if key.startswith(lesson + ".")]
    done = [key for key in keys if key in _solved]
    print(f"Lesson {lesson}: {len(done)} of {len(keys)} exercises solved" + (f" ({', '.join(done)})" if done else ""))


def _write(key, entry):
    path = Path(os.environ.get("SFT_LEDGER", LEDGER))
    try:
        ledger = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError:
        path.replace(path.with_suffix(".damaged"))  # kept, so that nothing is lost
        ledger = {}
    ledger[key] = entry
    written = path.with_suffix(".new")
    written.write_text(json.dumps(ledger, indent=1) + "\n", encoding="utf-8")
    written.replace(path)


def _exercise(key):
    def register(check):
        _checks[key] = check
        return check
    return register


def _number(value):
    """A plain float of whatever a reader's function returns: float, NumPy or torch scalar."""
    return float(value)


def _close(a, b, tolerance=1e-6):
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


# ---- 01 The neuron -------------------------------------------------------------------------------------------


@_exercise("01.1")
def _neuron(neuron):
    W, a, b = [0.5, -1.0, 2.0], [1.0, 3.0, 0.25], 0.5
    z = 0.5 - 3.0 + 0.5 + 0.5
    right = 1 / (1 + math.exp(-z))
    got = _number(neuron(W, a, b))
    if _close(got, right):
        if not _close(_number(neuron([2.0], [1.0], -1.0)), 1 / (1 + math.exp(-1.0))):
            return "it works for three inputs and not for one; let the length of W decide how many terms are added."
        return None
    if _close(got, z):
        return "this is z, the weighted sum. What does the neuron do with z before it hands it on?"
    if _close(got, 1 / (1 + math.exp(-(z - 0.5)))):
        return "the bias b is missing from the sum."
    if _close(got, 1 / (1 + math.exp(z))):
        return "the curve runs the wrong way: look at the sign in the exponent of the sigmoid."
    if _close(got, math.tanh(z)):
        return "that is tanh; the exercise asks for the sigmoid, which stays between 0 and 1."
    return f"for W={W}, a={a}, b={b} the answer is not {got:.4f}. Multiply in pairs, add up, add b, then squash."


@_exercise("01.2")
def _cross_entropy(loss):
    p, y = np.array([0.9, 0.2, 0.6]), np.array([1, 0, 0])
    each = -np.log(np.array([0.9, 0.8, 0.4]))
    got = _number(loss(p, y))
    if _close(got, each.mean()):
        return None
    if _close(got, -each.mean()):
        return "a loss should be large when the neuron is wrong: mind the minus sign."
    if _close(got, each.sum()):
        return "this is the sum; the mean makes losses of few and many examples comparable."
    if _close(got, -np.log(p).mean()):
        return "for an example of class 0 the probability of the right answer is not p. What is it?"
    if _close(got, float(np.mean((p - y) ** 2))):
        return "this is the squared error; here the logarithm of the right answer's probability is wanted."
    if _close(got, each.mean() / math.log(2)):
        return "you took the logarithm to base 2; the course uses the natural one."
    return f"for p={p.tolist()} and y={y.tolist()} the answer is not {got:.4f}."


@_exercise("01.3")
def _xor(weights):
    try:
        W1, b1, w2, b2 = (np.asarray(part, dtype=float) for part in weights)
    except (TypeError, ValueError):
        return "give the four parts (W1, b1, w2, b2)."
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
        return "all four answers are the wrong way round: turn the signs of w2 and b2."
    return (f"wrong for {', '.join(map(str, wrong))}. Try one hidden neuron that counts the ones, and one that fires "
            "only when both are there.")


# ---- 02 Training ---------------------------------------------------------------------------------------------


@_exercise("02.1")
def _steps(count):
    got = count(1000, 32, 3)
    if got == 96 and count(64, 32, 2) == 4 and count(5, 8, 1) == 1:
        return None
    if got == 93:
        return "1000 / 32 is not a whole number: what happens to the 8 examples that are left over in each epoch?"
    if got == 94:
        return "the left-over examples make a small batch in every epoch, not one at the very end."
    if got == 32:
        return "that is the number for one epoch."
    if got == 96:
        return "right for 1000 examples, wrong where they divide evenly (64, 32, 2) or fill no batch (5, 8, 1)."
    return f"for 1000 examples, batches of 32 and 3 epochs it is not {got}."


@_exercise("02.2")
def _momentum(step):
    w, v = step(1.0, 0.5, 2.0, 0.1, 0.9)
    w, v = _number(w), _number(v)
    if _close(v, 2.45) and _close(w, 1.0 - 0.245):
        return None
    if _close(w, 0.8):
        return "this is plain SGD: the velocity of the last step is forgotten."
    if _close(w, 1.245):
        return "you walk uphill: mind the sign."
    if _close(v, 2.45) and _close(w, 1.0 - 0.05):
        return "the step should use the new velocity, not the old one."
    if _close(v, 0.45 + 0.2):
        return "the gradient enters the velocity times 0.1; in this lesson lr scales the step alone."
    return "first v ← momentum · v + gradient, then w ← w − lr · v; give back (w, v)."


@_exercise("02.3")
def _standardise(function):
    train = np.array([[0.0, 100.0], [2.0, 300.0], [4.0, 500.0]])
    new = np.array([[2.0, 700.0], [6.0, 300.0]])
    got = function(train.copy(), new.copy())
    if not isinstance(got, tuple | list) or len(got) != 2:
        return "give back two arrays: the standardised training rows and the standardised new rows."
    a, b = (np.asarray(part, dtype=float) for part in got)
    if a.shape != train.shape or b.shape != new.shape:
        return f"the shapes should stay {train.shape} and {new.shape}, they are {a.shape} and {b.shape}."
    for ddof in (0, 1):
        mean, std = train.mean(axis=0), train.std(axis=0, ddof=ddof)
        if np.allclose(a, (train - mean) / std) and np.allclose(b, (new - mean) / std):
            return None
    if np.allclose(b, (new - new.mean(axis=0)) / new.std(axis=0)):
        return ("the new rows were standardised by their own mean and spread. In use they come one at a time, and "
                "the model has learnt on the training scale.")
    both = np.vstack([train, new])
    if np.allclose(a, (train - both.mean(axis=0)) / both.std(axis=0)):
        return "the new rows had a say in mean and spread: that leaks them into training."
    if np.allclose(a, (train - train.mean()) / train.std()):
        return "one mean was taken over both columns; each column has a unit of its own."
    if np.allclose(a, train - train.mean(axis=0)):
        return "centred, but not divided by the standard deviation."
    return "from each column take the training mean, then divide by the training standard deviation."


# ---- 03 Text preprocessing -----------------------------------------------------------------------------------


@_exercise("03.1")
def _keep_negation(function):
    got = function("The soup was NOT bad, and they never rushed us.")
    if isinstance(got, str):
        return "give back a list of tokens, not one text."
    got = list(got)
    kept = {"not", "never"} & set(got)
    if kept != {"not", "never"}:
        if {"NOT"} & set(got):
            return "lower-case before you compare: 'NOT' is a negation as well."
        return f"negations got lost: {', '.join(sorted({'not', 'never'} - kept))}. Take them out of the stop list."
    if {"the", "was", "and"} & set(got):
        return "stop words are still there; only the negations should be saved from the list."
    if not {"soup", "bad", "rushed"} <= set(got):
        return "words that carry the content are missing."
    if function("It isn't good") in (["good"], ["is", "good"]):
        return "'isn't' is cut into 'is' and 'n't': save \"n't\" too, though it holds an apostrophe."
    if "n't" not in list(function("It isn't good")):
        return "'isn't' is cut into 'is' and 'n't': save \"n't\" as well."
    return None


@_exercise("03.2")
def _out_of_vocabulary(rate):
    train = [["good", "soup"], ["cold", "soup"]]
    test = [["good", "bread"], ["cold", "cold", "tea", "soup"]]
    got = _number(rate(train, test))
    if _close(got, 2 / 6):
        return None
    if _close(got, 2 / 5):
        return "you counted different words; a word that occurs twice counts twice here."
    if _close(got, 4 / 6):
        return "that is the share of known words."
    if _close(got, 1.0):
        return "you counted texts with an unknown word; here it is tokens."
    if _close(got, 0.0):
        return "nothing is unknown? Then the test texts had a say in the vocabulary."
    if _close(got, 100 / 3):
        return "a share between 0 and 1 is wanted, not per cent."
    return f"it is not {got:.3f}: unknown tokens of the test texts, divided by all tokens of the test texts."


@_exercise("03.3")
def _masked_mean(function):
    values = np.array([[1.0, 3.0, 0.0, 0.0], [2.0, 4.0, 6.0, 8.0]])
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]])
    got = np.asarray(function(values, mask), dtype=float)
    if got.shape == (2,) and np.allclose(got, [2.0, 5.0]):
        dirty = np.array([[1.0, 3.0, 99.0, 99.0], [2.0, 4.0, 6.0, 8.0]])
        if not np.allclose(function(dirty, mask), [2.0, 5.0]):
            return "it trusts that padding holds zeros. After a layer of a network it does not: multiply by the mask."
        zero = np.asarray(function(values, np.array([[0, 0, 0, 0], [1, 1, 1, 1]])), dtype=float)
        if not np.isfinite(zero).all():
            return "a text without any real token is divided by zero; let the divisor be at least 1."
        return None
    if got.shape == (2,) and np.allclose(got, [1.0, 5.0]):
        return "padding was averaged in: divide by the number of real tokens, not by the width."
    if got.shape == (4,):
        return "this is the mean over texts; average over the tokens of each text (axis=1)."
    if got.shape == (2,) and np.allclose(got, [4.0, 20.0]):
        return "this is the sum over real tokens: divide it by how many there are."
    return "for each row: the sum of value × mask, divided by the sum of the mask."


# ---- 04 Word2Vec ---------------------------------------------------------------------------------------------


@_exercise("04.1")
def _cosine(function):
    u, v = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    got = _number(function(u, v))
    if _close(got, 0.96):
        if not _close(_number(function(10 * u, v)), 0.96):
            return "making u ten times as long must not change the angle."
        return None
    if _close(got, 24.0):
        return "this is the dot product; divide by both lengths."
    if _close(got, 24 / 5):
        return "you divided by one length only."
    if _close(got, 24 / 625):
        return "a length is the square root of the sum of squares."
    if _close(got, 0.04):
        return "this is 1 − cosine, the distance."
    return f"for (3, 4) and (4, 3) it is not {got:.4f}."


@_exercise("04.2")
def _skipgram(function):
    tokens = ["the", "bus", "came", "late"]
    right = {("the", "bus"), ("bus", "the"), ("bus", "came"), ("came", "bus"), ("came", "late"), ("late", "came")}
    pairs = list(function(tokens, 1))
    if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        return "give back a list of pairs (centre, context)."
    got = {tuple(pair) for pair in pairs}
    if got == right and len(pairs) == len(right):
        if len(list(function(tokens, 2))) != 10:
            return "right for a window of 1, wrong for 2: the window is how far away a context word may stand."
        twice = list(function(["so", "so", "bread"], 1))
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


@_exercise("04.3")
def _nearest(function):
    vectors = {"good": np.array([1.0, 0.1]), "fine": np.array([8.0, 1.0]), "bus": np.array([0.1, 1.0]),
               "late": np.array([0.9, 0.9]), "rude": np.array([-1.0, 0.0])}
    got = function("good", vectors)
    if isinstance(got, str):
        return "give back a list of words, the nearest first."
    got = list(got)
    if "good" in got:
        return "every word is nearest to itself: leave it out."
    if got == ["fine", "late", "bus", "rude"]:
        return None
    if got == ["rude", "bus", "late", "fine"]:
        return "this is the furthest first: turn the order round."
    if got[:1] == ["late"]:
        return "that looks like distance, not direction: 'fine' points the same way as 'good' and is only longer."
    return "sort all other words by their cosine with the word, the largest first."
