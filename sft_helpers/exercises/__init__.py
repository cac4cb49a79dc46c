"""Your turn: guesses written down before a result, and checks that answer with a hint."""

import json
import math
import os
from importlib import import_module
from pathlib import Path

from .answers import CHECKS, WrongFormError, number, one_line

LEDGER = "predictions.json"  # beside the notebook, ignored by git

_guesses = {}
_solved = set()


def predict(key, guess=None):
    """Write down a guess before the result is seen. Leaving it out blocks nothing.

    Parameters
    ----------
    key : str
        Such as ``"01.2"``.
    guess : float, optional
        None takes an earlier guess back.
    """
    if guess is None:
        _guesses.pop(key, None)
        if key in _entries():
            _write(key, None)
        print(f"Prediction {key}: put your guess in place of None, if you like, and run this cell again.")
        return
    try:
        guess = number(guess)
    except WrongFormError:
        guess = math.nan
    if not math.isfinite(guess):
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


def ledger():
    """Return the guesses whose results are known.

    Returns
    -------
    dict from str to (float, float)
        For each key the guess and what came out, in the order of the lessons; empty where nothing was guessed.
    """
    try:
        return {key: (float(entry["guess"]), float(entry["outcome"])) for key, entry in sorted(_entries().items())
                if "outcome" in entry}
    except (ValueError, TypeError, KeyError):  # damaged
        return {}


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
    if key not in CHECKS:
        raise KeyError(f"There is no exercise {key}; there are {', '.join(sorted(CHECKS))}.")
    _solved.discard(key)
    if answer is None or answer is ...:
        print(f"Exercise {key}: not tried yet.")
        return
    try:
        hint = CHECKS[key](answer)
    except WrongFormError as error:
        hint = str(error)
    except (Exception, SystemExit) as error:  # the reader's own code: whatever it raises is told, not thrown
        stub = _unwritten(error)
        if stub and stub is getattr(answer, "__code__", None):
            print(f"Exercise {key}: not tried yet.")
            return
        hint = (f"your code calls `{stub.co_name}`, which is not written yet." if stub else
                f"your code stops with {type(error).__name__}: {one_line(error)}")
    if hint:
        print(f"Exercise {key}: not yet – {hint}")
    else:
        _solved.add(key)
        print(f"Exercise {key}: solved ✓")


def _unwritten(error):
    """Return the code of the stub that an error comes from; None for any other error, PyTorch's own included."""
    if not isinstance(error, NotImplementedError) or error.args:
        return None
    last = error.__traceback__
    while last.tb_next:
        last = last.tb_next
    return last.tb_frame.f_code


def progress(lesson):
    """Print which exercises of a lesson are solved in this kernel.

    Parameters
    ----------
    lesson : str
        Such as ``"01"``.
    """
    keys = [key for key in sorted(CHECKS) if key.startswith(lesson + ".")]
    done = [key for key in keys if key in _solved]
    print(f"Lesson {lesson}: {len(done)} of {len(keys)} exercises solved" + (f" ({', '.join(done)})" if done else ""))


def _place():
    return Path(os.environ.get("SFT_LEDGER") or LEDGER).resolve()  # a link stays a link


def _entries():
    """Return what the ledger holds; nothing where there is none, or a damaged one."""
    try:
        entries = json.loads(_place().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _write(key, entry):
    """Write one entry into the ledger, None to take it out; whatever stands in the way is said, and blocks nothing."""
    path = _place()
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
        if entry:
            ledger[key] = entry
        else:
            ledger.pop(key, None)
        written = path.with_suffix(".new")
        written.write_text(json.dumps(ledger, indent=1) + "\n", encoding="utf-8")
        written.replace(path)
    except OSError as error:
        kept = "kept in" if entry else "taken out of"
        print(f"(The guess could not be {kept} {path.name}: {error.strerror or error}.)")


for _module in sorted(Path(__file__).parent.glob("lesson*.py")):  # each registers its checks
    import_module(f"{__name__}.{_module.stem}")
