"""A claim: a sentence of the lesson that is checked where it is printed."""

import inspect
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


def claim(sentence, *, holds, **numbers):
    """Check a sentence and print it with its numbers.

    Parameters
    ----------
    sentence : str
        With a ``{name}`` or ``{name:.1f}`` for each number.
    holds : callable
        Takes numbers by their names and returns whether the sentence is true of them.
    **numbers
        The measured values.

    Raises
    ------
    ClaimError
        The sentence is untrue on the default profile. On any other profile "not held" is printed instead.
    """
    asked = inspect.signature(holds).parameters  # a sentence may show more numbers than it rests on
    true = bool(holds(**{name: numbers[name] for name in asked}))
    text = sentence.format(**numbers)
    if _state["binding"] and not true:
        raise ClaimError(f"This claim does not hold here: {text}")
    verdict = "✓" if _state["binding"] else f"{'held' if true else 'not held'} on this data and backbone:"
    print(textwrap.fill(f"{verdict} {text}", width=PAGE_WIDTH, subsequent_indent="  ", break_on_hyphens=False))
