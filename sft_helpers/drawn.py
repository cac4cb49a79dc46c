"""What a figure draws, as lines of text: so that two figures can be compared without comparing their pixels."""

import itertools

import numpy as np
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.contour import ContourSet
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Annotation, Text
from matplotlib.ticker import LogFormatter, ScalarFormatter

POINTS = 40  # of a longer curve or cloud so many are written down, evenly spaced, and the mean of all


def drawn(figure):
    """Describe a figure: titles, labels, limits, and where every mark stands.

    Parameters
    ----------
    figure : matplotlib.figure.Figure

    Returns
    -------
    list of str
        Lines that begin with ``at`` give places in thousandths of the axes' width and height (x,y from the lower
        left), or values in thousandths of a colour scale; a line that begins with ``limits`` gives the axes' limits
        in the units of the data; all others are words. A count is written ``n20``.
    """
    figure.canvas.draw()  # places and limits are only settled by drawing
    lines = [f"heading {text.get_text()}" for text in [figure._suptitle] if text is not None]
    for axis in figure.axes:
        lines += _frame(axis)
        for artist in (*axis.lines, *axis.collections, *axis.images, *axis.texts):
            lines += _mark(axis, artist) if artist.get_visible() else []
        for name, bars in itertools.groupby(filter(Patch.get_visible, axis.patches), key=_name):
            lines += [name, _places(axis, np.concatenate([bar.get_window_extent().get_points() for bar in bars]))]
    return lines


def _frame(axis):
    titles = filter(None, (axis.get_title(loc=place) for place in ("left", "center", "right")))
    lines = [f"axes {' / '.join(titles)}"]
    for side, label, scale in ((axis.xaxis, axis.get_xlabel(), axis.get_xscale()),
                               (axis.yaxis, axis.get_ylabel(), axis.get_yscale())):
        words = [tick.get_text() for tick in side.get_ticklabels()]
        named = not isinstance(side.get_major_formatter(), (ScalarFormatter, LogFormatter))
        lines.append(f"{side.axis_name} {label} {scale} {' | '.join(words) if named else ''}".rstrip())
    lines.append("limits " + " ".join(f"{value:.4g}" for value in (*axis.get_xlim(), *axis.get_ylim())))
    if axis.get_legend():
        lines.append("legend " + " | ".join(text.get_text() for text in axis.get_legend().get_texts()))
    return lines


def _mark(axis, artist):
    """One artist: what it is, and where it stands."""
    if isinstance(artist, Text):
        points = artist.get_transform().transform([artist.get_position()])
        if isinstance(artist, Annotation):  # what it points at, and where its words or its arrow's tail stand
            inside = [artist.xy, *([artist.xyann] if artist.anncoords == "data" else [])]
            points = axis.transData.transform(inside)
        return [f"text {artist.get_text()!r}", _places(axis, points)]
    if isinstance(artist, Line2D):
        return [_name(artist), _places(axis, artist.get_transform().transform(artist.get_xydata()))]
    lines, values = [_name(artist)], artist.get_array()
    if isinstance(artist, Collection):
        lines.append(_places(axis, _collected(artist)))
    if values is not None and np.size(values) > 1:
        lines.append(_thousandths(artist.norm(np.ma.getdata(values).ravel())[:, None]))
    return lines


def _collected(artist):
    """The points of a collection, in pixels: its markers, the corners of its shapes, or the extents of its contours."""
    offsets = np.ma.getdata(artist.get_offsets())
    if len(offsets) > 1 or np.any(offsets):
        return artist.get_offset_transform().transform(offsets)
    paths = [path for path in artist.get_paths() if len(path.vertices)]
    if isinstance(artist, ContourSet):  # the number of its points depends on rounding
        points = [path.get_extents(artist.get_transform()).get_points() for path in paths]
    else:
        points = [path.transformed(artist.get_transform()).vertices for path in paths]
    return np.concatenate(points) if points else np.empty((0, 2))


def _name(artist):
    """The kind of an artist, its label, its colour where that does not stand for a value, a line's style."""
    label, style = str(artist.get_label()), ""
    if isinstance(artist, Line2D):
        colour, style = artist.get_color(), f"{artist.get_linestyle()}{artist.get_marker()}"
    elif isinstance(artist, Patch):
        colour = artist.get_facecolor()
    elif isinstance(artist, Collection) and artist.get_array() is None:
        colour = next(iter([*artist.get_facecolor(), *artist.get_edgecolor()]), None)
    else:
        colour = None
    return " ".join(filter(None, (type(artist).__name__, "" if label.startswith("_") else label,
                                  "" if colour is None else to_hex(colour), style)))


def _places(axis, pixels):
    """Pixels as thousandths of the axes."""
    return _thousandths(axis.transAxes.inverted().transform(np.ma.getdata(pixels)))


def _thousandths(values):
    """Rows of numbers, a thousandth being one; the first word counts them."""
    values = np.asarray(values, dtype=float)
    rows = values
    if len(values) > POINTS:
        spaced = np.linspace(0, len(values) - 1, POINTS).round().astype(int)
        rows = [*values[spaced], np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0)]
    words = [[str(round(1000 * one)) if np.isfinite(one) else "-" for one in np.clip(row, -99, 99)] for row in rows]
    return f"at n{len(values)}: " + "; ".join(" ".join(row) for row in words)
