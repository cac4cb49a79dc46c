"""Figures of the course: one style, one colour-blind-safe palette, alt text."""

import base64
import io

import matplotlib.pyplot as plt
from IPython.display import display

# Okabe and Ito: Color Universal Design, 2008
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK)
NEGATIVE, POSITIVE = ORANGE, BLUE
GREY = "#6E6E6E"

STYLE = {
    "figure.dpi": 110, "savefig.dpi": 110, "figure.constrained_layout.use": True, "figure.figsize": (7, 3.8),
    "font.size": 11, "axes.titlesize": 12, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#E3E3E3",
    "axes.axisbelow": True, "lines.linewidth": 2, "legend.frameon": False,
    "axes.prop_cycle": plt.cycler(color=PALETTE),
}


plt.rcParams.update(STYLE)  # titles and legends take their style when they are set, not when the figure is made


def subplots(*args, **kwargs):
    """Return ``matplotlib.pyplot.subplots(...)`` in the style of the course, without showing it yet."""
    figure, axes = plt.subplots(*args, **kwargs)
    plt.close(figure)  # keeps the inline backend from drawing it a second time at the end of the cell
    return figure, axes


def png(figure):
    """Return a figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def show(figure, alt):
    """Display a figure with a description for those who cannot see it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What the figure shows, in a sentence or two.
    """
    image = base64.b64encode(png(figure)).decode()
    display({"image/png": image, "text/plain": f"Figure: {alt}"}, raw=True,
            metadata={"image/png": {"alt": alt}})


def boundary(axis, decide, points, labels, names=("class 0", "class 1"), margin=0.6, resolution=200):
    """Draw the probability that a classifier gives to each place of the plane, and the points on it.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    decide : callable
        Takes an array of shape (n, 2) and returns the probability of class 1, shape (n,).
    points : ndarray, shape (n, 2)
    labels : ndarray of 0 and 1, shape (n,)
    names : tuple of str
    margin : float
        How far beyond the points to draw, in the points' units.
    resolution : int
        Grid points a side.
    """
    import numpy as np

    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    x, y = np.meshgrid(np.linspace(low[0], high[0], resolution), np.linspace(low[1], high[1], resolution))
    probability = np.asarray(decide(np.column_stack([x.ravel(), y.ravel()]))).reshape(x.shape)
    axis.contourf(x, y, probability, levels=[0, 0.25, 0.49, 0.51, 0.75, 1],
                  colors=["#F6D79B", "#FBEBCD", "#FFFFFF", "#D6E8F4", "#A6CEE8"])
    if np.ptp(probability) > 0.02:  # a classifier that says one half everywhere has no boundary
        axis.contour(x, y, probability, levels=[0.5], colors=BLACK, linewidths=1.5)
    for label, colour, marker in ((0, NEGATIVE, "o"), (1, POSITIVE, "^")):
        chosen = points[labels == label]
        axis.scatter(chosen[:, 0], chosen[:, 1], c=colour, marker=marker, s=28, edgecolors="black",
                     linewidths=0.5, label=names[label])
    axis.grid(False)
