"""What nbval compares, and how closely.

A cell whose metadata holds ``"tolerance": {"abs": …, "rel": …, "why": …}`` may print numbers that differ by so
much from the stored ones; every other character must be equal. All other cells are compared exactly.
"""

import os
import re
import tempfile
import types

import nbval.plugin

NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?")

# Kernels inherit these: no progress bars in outputs, and a reader's own predictions stay out of the comparison.
os.environ["TQDM_DISABLE"] = "1"
os.environ["SFT_LEDGER"] = os.path.join(tempfile.gettempdir(), "no_predictions.json")
os.environ.pop("SFT_STRICT", None)


def settle(stored, fresh, absolute=0.0, relative=0.0):
    """Return the stored text, with each number that is not close enough replaced by the fresh one.

    Where anything but numbers differs, line breaks and the width of columns aside, the fresh text is returned as
    it is. (A number that gains a digit may push a word to the next line.)
    """
    if NUMBER.sub("#", stored).split() != NUMBER.sub("#", fresh).split():
        return fresh
    numbers = iter(NUMBER.findall(fresh))

    def close_enough(match):
        was, now = match.group(), next(numbers)
        a, b = (float(n.replace(",", "")) for n in (was, now))
        return was if abs(a - b) <= max(absolute, relative * abs(a)) else now

    return NUMBER.sub(close_enough, stored)


def _settled(stored, fresh, tolerance):
    margins = {"absolute": tolerance.get("abs", 0.0), "relative": tolerance.get("rel", 0.0)}
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
