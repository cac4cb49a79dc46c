"""What nbval compares, and how closely.

Text is compared exactly. A cell whose metadata holds ``"tolerance": {"abs": …, "rel": …, "why": …}`` may print
numbers that differ by so much from the stored ones; every other character must be equal. Whole numbers must be equal
as well, unless the tolerance says ``"integers": true``, and so must numbers that are part of a word.

A figure is compared by what it draws (``sft_helpers.drawn``, stored beside the picture): its words as the cell's
text, the places of its marks to within ``FIGURE`` thousandths of the axes, or as many as the tolerance's ``"figure"``
allows. The network is cut for the kernels (``tests/offline``). ``_build/nbval.html`` shows what differed.
"""

import math
import re

from nbformat import from_dict

# a number that stands by itself: no letter, digit, dot or comma runs into it
NUMBER = re.compile(r"(?<![\w.,])-?\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])(?!\.\d)")

DRAWN = "what the figure draws"  # the name under which nbval is given a figure's lines
FIGURE = 5  # thousandths of an axis: less than two pixels


def settle(stored, fresh, absolute=0.0, relative=0.0, integers=False):
    """Return the stored text if the fresh one says the same within the tolerance, else the fresh one.

    Without a tolerance every character counts. With one, blanks between words may differ in width, since a number
    may gain a digit; in a claim (a text that begins with a tick) line breaks may differ too, for the same reason.
    """
    if not absolute and not relative:
        return fresh
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


def settle_figure(stored, fresh, margin=FIGURE, **margins):
    """Return the stored lines of a figure if the fresh ones say the same within the margins, else the fresh ones."""
    if len(stored) != len(fresh):
        return fresh
    for was, now in zip(stored, fresh, strict=True):
        kind = was.split(" ", 1)[0]
        if kind == "at":
            same = settle(was, now, absolute=margin, integers=True) == was
        elif kind == "limits":
            same = _limits_agree(was.split()[1:], now.split()[1:], margin)
        else:
            same = settle(was, now, **margins) == was
        if not same:
            return fresh
    return stored


def _limits_agree(was, now, margin):
    was, now = ([float(value) for value in values] for values in (was, now))
    spans = [abs(was[1] - was[0])] * 2 + [abs(was[3] - was[2])] * 2
    return all(abs(a - b) <= margin / 1000 * span for a, b, span in zip(was, now, spans, strict=True))


def settled(stored, fresh, tolerance):
    """Return stored and fresh outputs for nbval to compare: alike where they agree within the tolerance."""
    margins = {"absolute": tolerance.get("abs", 0.0), "relative": tolerance.get("rel", 0.0),
               "integers": tolerance.get("integers", False)}
    if len(stored) != len(fresh):
        return stored, fresh
    pairs = []
    for was, now in zip(stored, fresh, strict=True):
        was, now = from_dict(was), from_dict(now)
        if "text" in was and "text" in now:
            now["text"] = settle(was["text"], now["text"], **margins)
        if "text/plain" in was.get("data", {}) and "text/plain" in now.get("data", {}):
            now["data"]["text/plain"] = settle(was["data"]["text/plain"], now["data"]["text/plain"], **margins)
        lines = [figure_lines(output) for output in (was, now)]
        if any(lines) and "data" in was and "data" in now:
            agreed = settle_figure(*lines, margin=tolerance.get("figure", FIGURE), **margins)
            was["data"][DRAWN] = "\n".join(lines[0])
            now["data"][DRAWN] = "\n".join(agreed)
        pairs.append((was, now))
    return [was for was, _now in pairs], [now for _was, now in pairs]


def figure_lines(output):
    """Return the lines that say what an output's figure draws, none if it has no figure."""
    return list(output.get("metadata", {}).get("image/png", {}).get("drawn", []))


def moved(stored, fresh):
    """Return how far the numbers of the outputs moved at most: in text, and in the places of figures' marks.

    Parameters
    ----------
    stored, fresh : list of dict
        Outputs that agree but for their numbers.

    Returns
    -------
    tuple of float
        In the numbers' own unit; in thousandths of the axes.
    """
    found = [0.0, 0.0]
    for was, now in zip(stored, fresh, strict=False):
        texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in (was, now)]
        places = ["\n".join(line for line in figure_lines(output) if line.startswith("at ")) for output in (was, now)]
        for index, pair in enumerate((texts, places)):
            a, b = ([float(number.replace(",", "")) for number in NUMBER.findall(text)] for text in pair)
            found[index] = max([found[index], *(abs(x - y) for x, y in zip(a, b, strict=False))])
    return tuple(found)
