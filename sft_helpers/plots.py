"""Figures of the course: one style, one colour-blind-safe palette, alt text."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.transforms import Bbox

from .drawn import drawn

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
    """Display a figure with a description for those who cannot see it, and with what it draws for the tests.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        What the figure shows, in a sentence or two.
    """
    display({"image/png": base64_png(figure), "text/plain": f"Figure: {alt}"}, raw=True,
            metadata={"image/png": {"alt": alt, "drawn": drawn(figure)}})


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
                     linewidths=0.5, label=names[label].replace("$", r"\$"))  # a dollar in a label is a dollar
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
    from sklearn.decomposition import PCA

    figure, axes = subplots(1, len(tables), figsize=(9, 4.6), squeeze=False)
    axes, maps = axes[0], []
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
        for (_word, (group, colour, marker)), spot in zip(shown, spots, strict=True):
            axis.scatter(*spot, color=colour, marker=marker, s=22, label=None if group in named else group)
            named.add(group)
        axis.margins(0.12)
        maps.append((axis, [word for word, _ in shown], spots, [colour for _, (_, colour, _) in shown]))
    axes[0].set_ylabel("second direction")
    if maps:
        maps[-1][0].legend(fontsize=8, loc="best")
    for axis, *named in maps:
        _write_beside(axis, *named)
    return figure


SIDES = ((5, 2, "left", "bottom"), (5, -2, "left", "top"), (-5, 2, "right", "bottom"), (-5, -2, "right", "top"),
         (0, 6, "center", "bottom"), (0, -6, "center", "top"), (16, 12, "left", "bottom"), (16, -12, "left", "top"),
         (-16, 12, "right", "bottom"), (-16, -12, "right", "top"))  # in points from the spot


def _common_area(one, other):
    common = Bbox.intersection(one, other)
    return common.width * common.height if common else 0.0


def _moved(text, side):
    """Put an annotation on a side of its spot and return the box that it covers, in pixels."""
    text.set(ha=side[2], va=side[3])
    text.xyann = side[:2]
    return text.get_window_extent()


def _write_beside(axis, words, spots, colours):
    """Write each word beside its spot, on the side where it covers least of other words, spots and margins."""
    axis.figure.draw_without_rendering()  # only now it is settled where on the page a spot lies
    taken = [Bbox.from_extents(*(place - 4), *(place + 4)) for place in axis.transData.transform(spots)]
    for word, spot, colour in zip(words, spots, colours, strict=True):
        text = axis.annotate(word, spot, xytext=(0, 0), textcoords="offset points", fontsize=8, color=colour,
                             parse_math=False)

        def covered(side, text=text):
            box = _moved(text, side)
            outside = box.width * box.height - _common_area(box, axis.bbox)
            return outside + sum(_common_area(box, other) for other in taken)

        taken.append(_moved(text, min(SIDES, key=covered)).padded(4))  # or two words would read as one


def neighbours(vectors, word, groups, count=8):
    """Draw a word's nearest neighbours: their cosines, and where they lie on the map of other words (PCA).

    Parameters
    ----------
    vectors : gensim.models.KeyedVectors
    word : str
        Where the table lacks it, or holds nothing else, the figure says so.
    groups : dict of str to list of str
        The words of the map, as in ``word_maps``.
    count : int
        Neighbours to show.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from sklearn.decomposition import PCA

    figure, (left, right) = subplots(1, 2, figsize=(9, 4.8), width_ratios=[1, 2])
    found = vectors.most_similar(word, topn=count) if word in vectors else []
    if not found:
        left.set_title(f"“{word}” is {'alone' if word in vectors else 'not'} in this table", parse_math=False)
        left.axis("off")
        right.axis("off")
        return figure
    names = [name for name, _ in found]
    left.barh(names[::-1], [cosine for _, cosine in found[::-1]], color=BLUE)
    left.set_title(f"Next to “{word}” lives “{names[0]}”", parse_math=False)
    left.set(xlabel="cosine", xlim=(0, 1))
    left.grid(axis="y", visible=False)
    known = [other for words in groups.values() for other in words if other in vectors]
    known = known if len(known) > 2 else [word, *names]
    unit = {other: vectors.get_vector(other, norm=True) for other in {word, *names, *known}}
    plane = PCA(2, random_state=0).fit(np.array([unit[other] for other in known]))
    named = []
    for others, colour, marker in ((known, GREY, "o"), (names, BLUE, "^"), ([word], RED, "*")):
        for other, spot in zip(others, plane.transform(np.array([unit[other] for other in others])), strict=True):
            right.scatter(*spot, color=colour, marker=marker, s=120 if marker == "*" else 22)
            if marker != "^":  # the neighbours' names stand on the left
                named.append((other, spot, colour))
    right.set(title="Its neighbours (▲) on the map", xlabel="first direction", ylabel="second direction",
              xticks=[], yticks=[])
    right.margins(0.12)
    _write_beside(right, *zip(*named, strict=True))
    return figure


def race(paths, loss, levels=(1, 5, 15, 30, 60, 90), frame=((-10, 5), (-3, 3))):
    """Draw the ways of several optimizers over one loss with two weights, whose lowest point is (0, 0).

    Parameters
    ----------
    paths : dict of str to array, shape (steps + 1, 2)
        For each walker the places where it stood; one that leaves the frame by far is not followed.
    loss : callable
        ``loss(w1, w2)`` for arrays.
    levels : sequence of float
        Losses at which to draw a contour line.
    frame : ((float, float), (float, float))
        Smallest and largest w1 and w2.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axis = subplots(figsize=(9, 3.8))
    across, up = np.meshgrid(*(np.linspace(*limits, 200) for limits in frame))
    axis.contour(across, up, loss(across, up), levels=levels, colors="#BBBBBB", linewidths=1)
    axis.plot(0, 0, "+", color=BLACK, markersize=12)
    ends = {}
    for (name, path), look in zip(paths.items(), ("o-", "s--", "^:", "D-."), strict=False):
        path = np.asarray(path, dtype=float)
        ends[name] = np.nan_to_num(np.linalg.norm(path[-1]), nan=np.inf)
        away = f"{ends[name]:.2f}" if ends[name] < 1000 else "very far"
        lost = ~(np.abs(path) < 2 * np.abs(frame).max(axis=1)).all(axis=1)
        followed = path[:np.argmax(lost) + 1] if lost.any() else path
        axis.plot(*followed.T, look, markersize=3.5, linewidth=1.2, label=f"{name}: ends {away} away")
    nearest = min(ends, key=ends.get)
    axis.set(title=f"After {len(path) - 1} steps nearest: {nearest}", xlabel="weight w₁ (flat direction)",
             ylabel="w₂ (steep)", xlim=frame[0], ylim=frame[1])
    axis.grid(False)
    axis.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=len(paths))  # hides no path
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


def attention_head(tokens, weights, layer, head):
    """Draw one head's attention map, with the place that most attention goes to in the title.

    Parameters
    ----------
    tokens : list of str
    weights : ndarray, shape (layers, heads, n, n)
    layer, head : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = weights[layer, head]
    shares = list(zip(shown.mean(axis=0), tokens, strict=True))
    shares += [(shown.diagonal(offset=offset).mean(), place) for offset, place in
               ((0, "the token itself"), (-1, "the token before"), (1, "the token after"))]
    share, place = max(shares, key=lambda pair: pair[0])
    figure, axis = subplots(figsize=(6.4, 5))
    attention_map(axis, shown, tokens)
    axis.set_title(f"Layer {layer}, head {head}: {100 * share:.0f} % goes to {place}", parse_math=False)
    axis.set(ylabel="who listens", xlabel="to whom")
    return figure


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
    _confusion(axis, counts, names)
    return figure


def _confusion(axis, counts, names):
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            if count or len(names) <= 12:
                axis.text(column, row, count, ha="center", va="center", fontsize=11 if len(names) <= 12 else 7,
                          color="white" if shares[row, column] > 0.6 else BLACK)
    axis.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0, parse_math=False)
    axis.set_yticks(range(len(names)), names, parse_math=False)  # a dollar in a label is a dollar
    axis.set(xlabel="predicted", ylabel="true")
    axis.grid(False)


def threshold(probabilities, labels, names, at=0.5):
    """Draw what a threshold does: the confusion matrix it gives, and the scores that every threshold would give.

    Parameters
    ----------
    probabilities : array, shape (n,)
        Of the second label. A text is taken for it from the threshold on.
    labels : array of 0 and 1, shape (n,)
    names : sequence of str
        Of the two labels.
    at : float

    Returns
    -------
    matplotlib.figure.Figure
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    grid = np.linspace(0.01, 0.99, 99)
    figure, (left, right) = subplots(1, 2, figsize=(9, 3.6), width_ratios=[2, 3])
    said = (probabilities >= at).astype(int)
    _confusion(left, np.array([[np.sum((labels == a) & (said == b)) for b in (0, 1)] for a in (0, 1)]), names)
    precision, recall, correct = _scores(said, labels)
    left.set_title(f"{100 * correct:.1f} % right at {at:.2f}")
    curves = 100 * np.array([_scores(probabilities >= step, labels) for step in grid])
    for name, curve, line in zip(("precision", "recall", "accuracy"), curves.T, ("-", "--", ":"), strict=True):
        right.plot(grid, curve, line, label=name)
    right.axvline(at, color=GREY, linewidth=1)
    right.set(title=f"Precision {_percent(precision)}, recall {_percent(recall)}", xlim=(0, 1), ylim=(0, 104),
              ylabel="score (%)")
    right.set_xlabel(f"threshold on the probability of “{names[1]}”", parse_math=False)
    right.legend(loc="lower left")
    return figure


def _scores(said, labels):
    """Return precision, recall and accuracy for label 1; precision is NaN where nothing is taken for label 1."""
    hits = np.sum((said == 1) & (labels == 1))
    precision = hits / np.sum(said) if np.any(said) else np.nan
    return precision, hits / max(1, np.sum(labels)), np.mean(said == labels)


def _percent(share):
    return "undefined" if np.isnan(share) else f"{100 * share:.0f} %"


def verdicts(found, chosen, labels, names):
    """Draw how often several sets of verdicts are right, and the confusion matrix of one of them.

    Parameters
    ----------
    found : dict of (str, str) to ndarray of int, shape (n,)
        Predicted labels.
    chosen : (str, str)
        Whose confusion matrix is drawn.
    labels : ndarray of int, shape (n,)
    names : list of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (left, right) = subplots(1, 2, figsize=(9, 3.6), width_ratios=[3, 2])
    right_share = {key: 100 * np.mean(predicted == labels) for key, predicted in found.items()}
    keys = list(found)[::-1]
    bars = left.barh([", ".join(key) for key in keys], [right_share[key] for key in keys],
                     color=[BLUE if key == chosen else "#C9C9C9" for key in keys])
    left.bar_label(bars, fmt="%.1f", padding=3, fontsize=9)
    left.set(title=f"{', '.join(chosen)}: {right_share[chosen]:.1f} % right", xlabel="validation right (%)",
             xlim=(0, 100))
    left.grid(axis="y", visible=False)
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, (labels, found[chosen]), 1)
    _confusion(right, counts, names)
    most = counts.sum(axis=0).argmax()
    right.set_title(f"{counts.sum(axis=0)[most]} times “{names[most]}”", parse_math=False)
    return figure


def learning_rate(rows, rate):
    """Draw recorded runs, epoch by epoch, one learning rate standing out from the others.

    Parameters
    ----------
    rows : list of dict
        With ``lr`` and, a number for each epoch, ``train_loss``, ``loss`` and ``accuracy`` (on validation);
        several runs of one rate are averaged.
    rate : float
        The one that stands out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, (left, right) = subplots(1, 2, figsize=(9, 3.6))
    rates = sorted({row["lr"] for row in rows}, key=lambda other: (other == rate, other))  # the chosen one on top
    for other in rates:
        mean = {what: np.mean([row[what] for row in rows if row["lr"] == other], axis=0)
                for what in ("train_loss", "loss", "accuracy")}
        epochs = np.arange(1, len(mean["loss"]) + 1)
        train, validation, linewidth = (BLUE, RED, 2.5) if other == rate else ("#C9C9C9", "#C9C9C9", 1)
        left.plot(epochs, mean["train_loss"], "o-", color=train, linewidth=linewidth, label="training")
        left.plot(epochs, mean["loss"], "^--", color=validation, linewidth=linewidth, label="validation")
        right.plot(epochs, 100 * mean["accuracy"], "^--", color=validation, linewidth=linewidth)
    left.legend(*([found[-2:] for found in left.get_legend_handles_labels()]))
    left.set(title=f"Rate {rate:.0e}: training loss {mean['train_loss'][-1]:.2f}", xlabel="epoch",
             ylabel="cross-entropy", xticks=epochs)
    right.set(title=f"{100 * mean['accuracy'][-1]:.1f} % right (grey: other rates)", xlabel="epoch",
              ylabel="right on validation (%)", xticks=epochs)
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
