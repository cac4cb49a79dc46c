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


def base64_png(figure):
    """Return a figure as PNG in base64, as a page embeds it."""
    return base64.b64encode(png(figure)).decode()


def show(figure, alt):
    """Display a figure with a description for those who cannot see it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What the figure shows, in a sentence or two.
    """
    display({"image/png": base64_png(figure), "text/plain": f"Figure: {alt}"}, raw=True,
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


def ladder(rungs, titles=("Ordinary reviews", "Contrast pairs")):
    """Draw the ladder twice: accuracy on ordinary texts, and contrast pairs with both halves right.

    Parameters
    ----------
    rungs : dict from str to (evaluation.Interval, evaluation.Interval)
        For each rung, lowest first: accuracy, and share of pairs both right; all from 0 to 1.
    titles : (str, str)

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = subplots(1, 2, figsize=(9, 0.9 + 0.48 * len(rungs)), sharey=True)
    names = list(rungs)[::-1]
    labels = ("right (%), with 95 % interval", "both halves right (%)")
    for axis, title, label in zip(axes, titles, labels, strict=True):
        axis.set(title=title, xlabel=label, xlim=(0, 100))
        axis.grid(axis="y", visible=False)
    for row, name in enumerate(names):
        for axis, score, colour in zip(axes, rungs[name], (BLUE, ORANGE), strict=True):
            whiskers = [[100 * (score.value - score.low)], [100 * (score.high - score.value)]]
            axis.barh(row, 100 * score.value, xerr=whiskers, color=colour, capsize=4)
    axes[0].set_yticks(range(len(names)), names)
    axes[1].axvline(25, color=RED, linestyle="--", linewidth=1)
    axes[1].annotate("blind guessing", (27, len(names) - 1.35), color=RED, va="center", fontsize=9)
    return figure


def word_maps(tables, groups):
    """Draw words of several tables in the plane, by the two directions in which they differ most (PCA).

    Parameters
    ----------
    tables : dict from str to gensim.models.KeyedVectors
        For each map its title and its vectors.
    groups : dict from str to list of str
        Words that belong together; a word that a table lacks is left out of its map.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import numpy as np
    from sklearn.decomposition import PCA

    figure, axes = subplots(1, len(tables), figsize=(9, 4.6))
    for axis, (title, vectors) in zip(axes, tables.items(), strict=True):
        shown = [(word, look) for look, words in zip(zip(groups, PALETTE, "os^D", strict=False), groups.values(),
                                                     strict=True) for word in words if word in vectors]
        axis.set(title=title, xlabel="first direction", xticks=[], yticks=[])
        if len(shown) < 3:
            axis.text(0.5, 0.5, "too few of the words are known", ha="center", transform=axis.transAxes)
            continue
        spots = PCA(2, random_state=0).fit_transform(
            np.array([vectors.get_vector(word, norm=True) for word, _ in shown]))
        named = set()
        for (word, (group, colour, marker)), spot in zip(shown, spots, strict=True):
            axis.scatter(*spot, color=colour, marker=marker, s=22, label=None if group in named else group)
            axis.annotate(word, spot, xytext=(4, 2), textcoords="offset points", fontsize=8, color=colour)
            named.add(group)
        axis.margins(0.12)
    axes[0].set_ylabel("second direction")
    axes[-1].legend(fontsize=8, loc="best")
    return figure


def architecture():
    """Draw supervised fine-tuning as boxes that bear the names used in the code.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(figsize=(9, 2.7))
    boxes = (("tokenizer", "text → numbers", "#E8E8E8"), ("backbone", "pretrained (BERT)", SKY),
             ("head", "new, yours", ORANGE), ("loss", "how wrong?", "#E8E8E8"))
    for x, (name, note, colour) in enumerate(boxes):
        axis.text(x, 1, name, ha="center", va="center", fontsize=13, weight="bold",
                  bbox={"boxstyle": "round,pad=0.6", "facecolor": colour, "edgecolor": BLACK})
        axis.text(x, 0.66, note, ha="center", va="top", fontsize=10.5)
    flow = {"arrowstyle": "->", "linewidth": 1.8}
    for tail, tip in ((-0.75, -0.38), (0.38, 0.6), (1.39, 1.74), (2.27, 2.74), (3.8, 3.28)):
        axis.annotate("", (tip, 1), (tail, 1), arrowprops=flow)
    axis.text(-0.8, 1, "your\ntexts", ha="right", va="center")
    axis.text(3.85, 1, "your\nlabels", ha="left", va="center")
    for tip, style in ((2, "-"), (1, "--")):
        axis.annotate("", (tip, 1.25), (3, 1.25), arrowprops={**flow, "color": RED, "linestyle": style,
                                                               "connectionstyle": "arc3,rad=0.35"})
    axis.text(2, 1.78, "optimizer: changes weights so that the loss falls", ha="center", color=RED)
    axis.set(xlim=(-1.2, 4.2), ylim=(0.45, 1.9))
    axis.axis("off")
    return figure


def training_curves(history):
    """Draw a training run: loss per update and per epoch on the left, the validation score on the right.

    Parameters
    ----------
    history : training.History

    Returns
    -------
    matplotlib.figure.Figure
    """
    validated = [entry for entry in history.epochs if "loss" in entry]
    figure, axes = subplots(1, 2 if validated else 1, figsize=(9 if validated else 6, 3.4), squeeze=False)
    axes = axes[0]
    axes[0].plot([step["step"] for step in history.steps], [step["loss"] for step in history.steps], color=SKY,
                 linewidth=0.8, label="training, each update")
    axes[0].plot([entry["step"] for entry in history.epochs], [entry["train_loss"] for entry in history.epochs],
                 "o-", color=BLUE, label="training, mean of the epoch")
    if validated:
        axes[0].plot([entry["step"] for entry in validated], [entry["loss"] for entry in validated], "^--",
                     color=RED, label="validation")
        score = "accuracy" if history.metric == "loss" else history.metric
        axes[1].plot([entry["epoch"] for entry in validated], [100 * entry[score] for entry in validated], "^--",
                     color=RED, label="validation")
        axes[1].scatter([history.best["epoch"]], [100 * history.best[score]], s=160, facecolors="none",
                        edgecolors=BLACK, label="kept")
        axes[1].set(xlabel="epoch", ylabel={"accuracy": "right (%)", "f1": "macro F1 (%)"}[score])
        axes[1].xaxis.get_major_locator().set_params(integer=True)
        axes[1].legend()
    axes[0].set(xlabel="update", ylabel="cross-entropy", ylim=(0, None))
    axes[0].legend(fontsize=9)
    return figure


def attention_map(axis, weights, tokens=None):
    """Draw attention weights: one row per listening token, one column per token listened to; dark is much.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    weights : ndarray, shape (n, n)
        From 0 (white) to the largest weight (darkest).
    tokens : list of str, optional
        Written along both sides; without them the sides stay bare.
    """
    axis.imshow(weights, cmap="Blues", vmin=0)
    axis.grid(False)
    if tokens is None:
        axis.set(xticks=[], yticks=[])
        return
    places = range(len(tokens))
    axis.set_yticks(places, tokens, fontsize=9)
    axis.set_xticks(places, tokens, fontsize=9, rotation=60, ha="right", rotation_mode="anchor")


def confusion(counts, names):
    """Draw a confusion matrix: true labels down, predicted labels across, counts in the cells.

    Parameters
    ----------
    counts : ndarray of int, shape (labels, labels)
    names : list of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    size = min(14.0, 2.6 + 0.42 * len(names))
    figure, axis = subplots(figsize=(size + 1.0, size))
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            if count or len(names) <= 12:
                axis.text(column, row, count, ha="center", va="center", fontsize=11 if len(names) <= 12 else 7,
                          color="white" if shares[row, column] > 0.6 else BLACK)
    axis.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0)
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="predicted", ylabel="true")
    axis.grid(False)
    return figure


def encoder_block():
    """Draw one block of a BERT: attention and feed-forward network, each with its residual and layer norm.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(figsize=(9, 1.7))
    boxes = ((1.0, "attention", SKY), (2.35, "layer\nnorm", "#E8E8E8"), (4.0, "feed-\nforward", ORANGE),
             (5.35, "layer\nnorm", "#E8E8E8"))
    for x, name, colour in boxes:
        axis.text(x, 0, name, ha="center", va="center", fontsize=11.5, weight="bold",
                  bbox={"boxstyle": "round,pad=0.45", "facecolor": colour, "edgecolor": BLACK})
    for x, name in ((0, "$x$"), (3.1, "$a$"), (6.1, "$x'$")):
        axis.text(x, 0, name, ha="center", va="center", fontsize=14)
    flow = {"arrowstyle": "->", "linewidth": 1.6}
    for tail, tip in ((0.12, 0.53), (1.47, 1.68), (1.86, 2.04), (2.66, 2.98), (3.22, 3.62), (4.38, 4.68), (4.86, 5.04),
                      (5.66, 5.98), (6.24, 6.6)):
        axis.annotate("", (tip, 0), (tail, 0), arrowprops=flow)
    for start, plus in ((0.0, 1.77), (3.1, 4.77)):
        axis.text(plus, 0, "+", ha="center", va="center", fontsize=13, weight="bold",
                  bbox={"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": BLACK})
        axis.annotate("", (plus, 0.12), (start, 0.14),
                      arrowprops={**flow, "color": RED, "connectionstyle": "arc3,rad=-0.42"})
        axis.text((start + plus) / 2, 0.47, "residual", ha="center", color=RED, fontsize=10)
    axis.text(6.65, 0, "next\nblock", ha="left", va="center")
    axis.set(xlim=(-0.2, 7.1), ylim=(-0.3, 0.6))
    axis.axis("off")
    return figure
