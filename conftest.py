"""What nbval compares, and how closely.

A cell whose metadata holds ``"tolerance": {"abs": …, "rel": …, "why": …}`` may print numbers that differ by so
much from the stored ones; every other character must be equal. Whole numbers must be equal as well, unless the
tolerance says ``"integers": true``, and so must numbers that are part of a word. All other cells are compared exactly.
"""

import math
import os
import re
import tempfile
import types

import nbval.plugin

# a number that stands by itself: no letter, digit, dot or comma runs into it
NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])(?!\.\d)")

# Kernels inherit these: no progress bars in outputs, and a reader's own predictions stay out of the comparison.
os.environ["TQDM_DISABLE"] = "1"
os.environ["SFT_LEDGER"] = os.path.join(tempfile.gettempdir(), "no_predictions.json")
os.environ["SFT_LADDER"] = os.devnull  # rungs measured elsewhere come from the study, whatever ran before
os.environ.pop("SFT_STRICT", None)


def settle(stored, fresh, absolute=0.0, relative=0.0, integers=False):
    """Return the stored text if the fresh one says the same within the tolerance, else the fresh one.

    Blanks between words may differ in width, since a number may gain a digit; in a claim (a text that begins with
    a tick) line breaks may differ too, for the same reason.
    """
    claim = stored.startswith("✓") and fresh.startswith("✓")
    lines = [[text] if claim else text.split("\n") for text in (stored, fresh)]
    if len(lines[0]) != len(lines[1]):
        return fresh
    for was, now in zip(*lines, strict=True):
        if [part.split() for part in NUMBER.split(was)] != [part.split() for part in NUMBER.split(now)]:
            return fresh
        for a, b in zip(NUMBER.findall(was), NUMBER.findall(now), strict=True):
            if a != b and not _close(a, b, absolute, relative, integers):
                return fresh
    return stored


def _close(was, now, absolute, relative, integers):
    decimals = [len(number.partition(".")[2]) for number in (was, now)]
    if decimals[0] != decimals[1] or (not decimals[0] and "e" not in was.lower() and not integers):
        return False
    a, b = (float(number.replace(",", "")) for number in (was, now))
    return math.isfinite(a) and math.isfinite(b) and abs(a - b) <= max(absolute, relative * abs(a))


def _settled(stored, fresh, tolerance):
    margins = {"absolute": tolerance.get("abs", 0.0), "relative": tolerance.get("rel", 0.0),
               "integers": tolerance.get("integers", False)}
    if len(stored) != len(fresh):
        return fresh
    settled = []
    for was, now in zip(stored, fresh, strict=True):
        now = nbval.plugin.nbformat.from_dict(now)
        if "text" in was and "text" in now:
            now["text"] = settle(was["text"], now["text"], **margins)
        if "text/plain" in was.get("data", {}) and "text/plain" in now.get("data", {}):
            now["data"]["text/plain"] = settle(was["data"]["text/plain"], now["data"]["text/plain"], **margins)
        settled.append(now)
    return settled


def _compare_with_tolerance(self, test, ref, skip_compare=None):
    fresh, stored = nbval.plugin.coalesce_streams(test), nbval.plugin.coalesce_streams(ref)
    return type(self).compare_outputs(self, _settled(stored, fresh, self.cell.metadata["tolerance"]), stored,
                                      skip_compare)


def pytest_collection_modifyitems(items):
    for item in items:
        if isinstance(item, nbval.plugin.IPyNbCell) and "tolerance" in item.cell.metadata:
            item.compare_outputs = types.MethodType(_compare_with_tolerance, item)
