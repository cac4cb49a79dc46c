"""Reading an answer in whatever form it comes, and the register of checks."""

import math

import numpy as np

CHECKS = {}  # from "01.2" to the function that returns a hint, or None for a right answer


class WrongFormError(Exception):
    """An answer of another form than the exercise asks for; the message is the hint."""


def one_line(error):
    try:
        return " ".join(str(error).split())[:200]
    except Exception:
        return "…"


def plain(value):
    """Torch tensors, NumPy arrays and nested sequences of them as a NumPy array of numbers."""
    if value is None:
        raise WrongFormError("your function gives back nothing; end it with `return`.")
    if isinstance(value, str):
        raise WrongFormError("give back numbers, not text.")
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    elif isinstance(value, list | tuple):
        if any(part is None for part in value):
            raise WrongFormError("one of the values is None; numbers are wanted.")
        value = [plain(part) for part in value]
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise WrongFormError(f"numbers are wanted, not {type(value).__name__}.") from error


def as_list(value):
    """A reader's list, given as a list, tuple, array or generator."""
    if value is None:
        raise WrongFormError("your function gives back nothing; end it with `return`.")
    if isinstance(value, str):
        raise WrongFormError("give back a list, not one text.")
    if isinstance(value, set | frozenset | dict):
        raise WrongFormError("give back a list: order and repetitions count.")
    if hasattr(value, "tolist"):
        value = value.tolist()
    try:
        return list(value)
    except TypeError as error:
        raise WrongFormError(f"a list is wanted, not {type(value).__name__}.") from error


def exercise(key):
    def register(check):
        CHECKS[key] = check
        return check
    return register


def function(check):
    """Hand a check nothing but functions."""
    def checked(answer):
        if not callable(answer):
            raise WrongFormError("hand over the function itself, without calling it.")
        return check(answer)
    return checked


def number(value):
    """A plain float of whatever a reader's function returns: float, NumPy or torch scalar."""
    found = plain(value)
    if found.size != 1:
        raise WrongFormError(f"one number is wanted, not {found.size} (shape {found.shape}).")
    return float(found.reshape(()))


def close(a, b, tolerance=1e-6):
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
