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
        _guesses.pop(key, None)
        print(f"Prediction {key}: put your guess in place of None, if you like, and run this cell again.")
        return
    try:
        guess = _number(guess)
    except _WrongFormError:
        print(f"Prediction {key}: a guess is a number, such as 0.7.")
        return
    _guesses[key] = guess
    _write(key, {"guess": guess})
    print(f"Prediction {key}: {guess:g} is written down.")


def outcome(key, value):
    """Put what came out beside the guess, if there was one.

    Parameters
    ----------
    key : str
    value : float
    """
    if key in _guesses:
        _write(key, {"guess": _guesses[key], "outcome": float(value)})
        print(f"You guessed {_guesses[key]:g}; it came out as {value:.3g}.")


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
    _solved.discard(key)
    try:
        if answer is None or answer is ...:
            raise NotImplementedError
        hint = _checks[key](answer)
    except NotImplementedError:
        print(f"Exercise {key}: not tried yet.")
        return
    except _WrongFormError as error:
        hint = str(error)
    except (Exception, SystemExit) as error:  # the reader's own code: whatever it raises is told, not thrown
        hint = f"your code stops with {type(error).__name__}: {_one_line(error)}"
    if hint:
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
    """Write one entry into the ledger; whatever stands in the way is said, and blocks nothing."""
    path = Path(os.environ.get("SFT_LEDGER") or LEDGER).resolve()  # a link stays a link
    try:
        if path.exists() and not path.is_file():
            return  # a device such as /dev/null: nobody wants a ledger
        try:
            ledger = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if not isinstance(ledger, dict):
                raise ValueError
        except ValueError:
            path.replace(path.with_suffix(".damaged"))  # kept, so that nothing is lost
            ledger = {}
        ledger[key] = entry
        written = path.with_suffix(".new")
        written.write_text(json.dumps(ledger, indent=1) + "\n", encoding="utf-8")
        written.replace(path)
    except OSError as error:
        print(f"(The guess could not be kept in {path.name}: {error.strerror or error}.)")


class _WrongFormError(Exception):
    """An answer of another form than the exercise asks for; the message is the hint."""


def _one_line(error):
    try:
        return " ".join(str(error).split())[:200]
    except Exception:
        return "…"


def _plain(value):
    """Torch tensors, NumPy arrays and nested sequences of them as a NumPy array of numbers."""
    if value is None:
        raise _WrongFormError("your function gives back nothing; end it with `return`.")
    if isinstance(value, str):
        raise _WrongFormError("give back numbers, not text.")
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    elif isinstance(value, list | tuple):
        value = [_plain(part) for part in value]
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise _WrongFormError(f"numbers are wanted, not {type(value).__name__}.") from error


def _list(value):
    """A reader's list, given as a list, tuple, array or generator."""
    if value is None:
        raise _WrongFormError("your function gives back nothing; end it with `return`.")
    if isinstance(value, str):
        raise _WrongFormError("give back a list, not one text.")
    if isinstance(value, set | frozenset | dict):
        raise _WrongFormError("give back a list: order and repetitions count.")
    if hasattr(value, "tolist"):
        value = value.tolist()
    try:
        return list(value)
    except TypeError as error:
        raise _WrongFormError(f"a list is wanted, not {type(value).__name__}.") from error


def _exercise(key):
    def register(check):
        _checks[key] = check
        return check
    return register


def _function(check):
    """Hand a check nothing but functions."""
    def checked(answer):
        if not callable(answer):
            raise _WrongFormError("hand over the function itself, without calling it.")
        return check(answer)
    return checked


def _number(value):
    """A plain float of whatever a reader's function returns: float, NumPy or torch scalar."""
    found = _plain(value)
    if found.size != 1:
        raise _WrongFormError(f"one number is wanted, not {found.size} (shape {found.shape}).")
    return float(found.reshape(()))


def _close(a, b, tolerance=1e-6):
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


# ---- 01 The neuron -------------------------------------------------------------------------------------------


@_exercise("01.1")
@_function
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
@_function
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
        W1, b1, w2, b2 = (_plain(part) for part in weights)
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
@_function
def _steps(count):
    got = _number(count(1000, 32, 3))
    more = {(64, 32, 2): 4, (5, 8, 1): 1, (96, 32, 1): 3, (97, 32, 2): 8}
    if got == 96 and all(_number(count(*sizes)) == steps for sizes, steps in more.items()):
        return None
    if got == 93:
        return "1000 / 32 is not a whole number: what happens to the 8 examples that are left over in each epoch?"
    if got == 94:
        return "the left-over examples make a small batch in every epoch, not one at the very end."
    if got == 32:
        return "that is the number for one epoch."
    if got == 96:
        return "right for 1000 examples, wrong where they divide evenly (96, 32, 1) or fill no batch (5, 8, 1)."
    return f"for 1000 examples, batches of 32 and 3 epochs it is not {got:g}."


@_exercise("02.2")
@_function
def _momentum(step):
    w, v = (_number(part) for part in _list(step(1.0, 0.5, 2.0, 0.1, 0.9)))
    if _close(v, 2.45) and _close(w, 1.0 - 0.245):
        w, v = (_number(part) for part in _list(step(3.0, -1.0, 4.0, 0.3, 0.5)))
        if not (_close(v, 3.5) and _close(w, 3.0 - 1.05)):
            return "right for lr = 0.1 and mu = 0.9, wrong for others: use the arguments, not fixed numbers."
        return None
    if _close(v, 0.65) and (_close(w, 1.0 - 0.065) or _close(w, 1.0 - 0.65)):
        return "the gradient enters the velocity times 0.1; in this lesson it enters whole."
    if _close(w, 0.8):
        return "this is plain SGD: the velocity of the last step is forgotten."
    if _close(w, 1.245):
        return "you walk uphill: mind the sign."
    if _close(v, 2.45) and _close(w, 1.0 - 0.05):
        return "the step should use the new velocity, not the old one."
    return "first v ← momentum · v + gradient, then w ← w − lr · v; give back (w, v)."


@_exercise("02.3")
@_function
def _standardise(function):
    train = np.array([[0.0, 100.0], [1.0, 300.0], [5.0, 500.0], [2.0, 900.0]])
    new = np.array([[2.0, 700.0], [6.0, 300.0]])
    got = _list(function(train.copy(), new.copy()))
    if len(got) != 2:
        return "give back two arrays: the standardised training rows and the standardised new rows."
    a, b = (_plain(part) for part in got)
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
@_function
def _keep_negation(function):
    got = _list(function("The soup was NOT bad, no, they never rushed us and it was NOT cold."))
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
    if "n't" not in _list(function("It isn't good")):
        return "'isn't' is cut into 'is' and 'n't': save \"n't\" as well."
    return None


@_exercise("03.2")
@_function
def _out_of_vocabulary(rate):
    train = [["good", "soup"], ["cold", "soup"]]
    test = [["good", "bread", "bread"], ["cold", "cold", "tea", "soup"]]
    got = _number(rate(train, test))
    if _close(got, 3 / 7):
        return None
    if any(_close(got, share) for share in (2 / 5, 2 / 7, 3 / 5)):
        return "you counted different words; a word that occurs twice counts twice here."
    if _close(got, 4 / 7):
        return "that is the share of known words."
    if _close(got, 1.0):
        return "you counted texts with an unknown word; here it is tokens."
    if _close(got, 0.0):
        return "nothing is unknown? Then the test texts had a say in the vocabulary."
    if _close(got, 300 / 7):
        return "a share between 0 and 1 is wanted, not per cent."
    return f"it is not {got:.3f}: unknown tokens of the test texts, divided by all tokens of the test texts."


@_exercise("03.3")
@_function
def _masked_mean(function):
    values = np.array([[1.0, 3.0, 0.0, 0.0], [2.0, 4.0, 6.0, 8.0]])
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]])

    def ask(values, mask):
        found = _plain(function(values, np.array(mask)))
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


# ---- 04 Word2Vec ---------------------------------------------------------------------------------------------


@_exercise("04.1")
@_function
def _cosine(function):
    u, v = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    got = _number(function(u, v))
    if _close(got, 0.96):
        if not _close(_number(function(10 * u, v)), 0.96):
            return "making u ten times as long must not change the angle."
        if not _close(_number(function(np.array([1.0, 2.0, 2.0]), np.array([-2.0, -1.0, 2.0]))), 0.0):
            return "right for two numbers, wrong for three: use all of them."
        if not _close(_number(function(u, -v)), -0.96):
            return "vectors that point apart have a negative cosine."
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
@_function
def _skipgram(function):
    tokens = ["the", "bus", "came", "late"]
    right = {("the", "bus"), ("bus", "the"), ("bus", "came"), ("came", "bus"), ("came", "late"), ("late", "came")}
    pairs = _list(function(tokens, 1))
    if any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        return "give back a list of pairs (centre, context)."
    got = {tuple(pair) for pair in pairs}
    if got == right and len(pairs) == len(right):
        if len(_list(function(tokens, 2))) != 10:
            return "right for a window of 1, wrong for 2: the window is how far away a context word may stand."
        twice = _list(function(["so", "so", "bread"], 1))
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
@_function
def _nearest(function):
    vectors = {"good": np.array([1.0, 0.1]), "fine": np.array([8.0, 1.0]), "bus": np.array([0.1, 1.0]),
               "late": np.array([0.9, 0.9]), "rude": np.array([-1.0, 0.0]), "vast": np.array([40.0, 50.0])}
    got = _list(function("good", vectors))
    if "good" in got:
        return "every word is nearest to itself: leave it out."
    if got == ["fine", "late", "vast", "bus", "rude"]:
        if _list(function("bus", vectors))[:2] != ["vast", "late"]:
            return "right for 'good', wrong for 'bus': compare with the word that was asked for."
        return None
    if got == ["vast", "fine", "late", "bus", "rude"]:
        return "long vectors come first: that is the dot product. Divide by the lengths."
    if got == ["rude", "bus", "vast", "late", "fine"]:
        return "this is the furthest first: turn the order round."
    if got[:1] == ["late"]:
        return "that looks like distance, not direction: 'fine' points the same way as 'good' and is only longer."
    return "sort all other words by their cosine with the word, the largest first."
