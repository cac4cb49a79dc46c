"""A claim: a sentence of the lesson that is checked where it is printed."""

import inspect
import re
import textwrap

PAGE_WIDTH = 96  # characters of output that a rendered page shows without breaking a word

_state = {"binding": True}


class ClaimError(AssertionError):
    """A sentence of the course is not true on the default profile."""


def bind(binding):
    """Say whether claims bind: True on the default data and backbone, False on any other.

    Parameters
    ----------
    binding : bool
    """
    _state["binding"] = binding


def claim(sentence, *, holds, applies=True, **numbers):
    """Check a sentence and print it with its numbers.

    Parameters
    ----------
    sentence : str
        With a ``{name}`` or ``{name:.1f}`` for each number.
    holds : callable
        Takes numbers by their names and returns whether the sentence is true of them.
    applies : bool
        False where the data lacks what the sentence speaks of (contrast pairs, say); then nothing is claimed.
        The default data lacks nothing: there it is an error.
    **numbers
        The measured values.

    Raises
    ------
    ClaimError
        The sentence is untrue on the default profile. On any other profile "not held" is printed instead.
    """
    if not applies:
        if _state["binding"]:
            raise ClaimError(f"The default data lacks what this claim speaks of: {sentence}")
        print("(This data lacks what the next sentence of the lesson speaks of.)")
        return
    asked = inspect.signature(holds).parameters  # a sentence may show more numbers than it rests on
    text, true = re.sub(r"\{.*?\}", "…", sentence), False  # as it is printed where a number is missing
    try:
        text = sentence.format(**numbers)
        true = bool(holds(**{name: numbers[name] for name in asked}))
    except (ArithmeticError, TypeError, ValueError):  # data of the reader's own may leave a number out
        if _state["binding"]:
            raise
    if _state["binding"] and not true:
        raise ClaimError(f"This claim does not hold here: {text}")
    verdict = "✓" if _state["binding"] else f"{'held' if true else 'not held'} here:"
    print(textwrap.fill(f"{verdict} {text}", width=PAGE_WIDTH, subsequent_indent="  ", break_on_hyphens=False))
