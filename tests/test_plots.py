"""Figures show the numbers they are given, where they belong."""

import numpy as np
import pytest
from gensim.models import KeyedVectors
from matplotlib.colors import to_rgb
from matplotlib.contour import ContourSet

from sft_helpers import plots, training


def test_a_figure_comes_with_its_description_and_with_what_it_draws(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, **how: shown.append((data, how)))
    figure, axis = plots.subplots()
    axis.set_title("Loss falls")
    plots.show(figure, "A curve that falls.")
    data, how = shown[0]
    assert how["metadata"]["image/png"]["alt"] == "A curve that falls."
    assert any("Loss falls" in line for line in how["metadata"]["image/png"]["drawn"])
    assert data["text/plain"] == "Figure: A curve that falls."


def test_a_confusion_matrix_has_the_true_labels_down_and_the_predicted_ones_across():
    axis = plots.confusion(np.array([[5, 2], [0, 3]]), ["bad", "good"]).axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    assert {text.get_position(): int(text.get_text()) for text in axis.texts} == {(0, 0): 5, (1, 0): 2, (0, 1): 0,
                                                                                 (1, 1): 3}
    assert np.allclose(axis.images[0].get_array(), [[5 / 7, 2 / 7], [0, 1]])  # shares of the true label
    for ticks in (axis.get_xticklabels(), axis.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["bad", "good"]


@pytest.mark.filterwarnings("error")
def test_a_label_that_no_text_has_leaves_its_row_white():
    axis = plots.confusion(np.array([[5, 2], [0, 0]]), ["bad", "good"]).axes[0]
    assert np.allclose(axis.images[0].get_array(), [[5 / 7, 2 / 7], [0, 0]])


@pytest.mark.parametrize("name", ["$\\frac{$", "$5", "$a$"])
def test_a_dollar_in_a_label_is_a_dollar(name):
    labels, points, names = np.array([0, 1]), np.array([[0.0, 1.0], [4.0, 2.0]]), ["bad", name]
    figure, axis = plots.subplots()
    plots.boundary(axis, lambda places: places[:, 0] / 9, points, labels, names)
    axis.legend()
    told = axis.get_legend().get_texts()[1]
    assert told._preprocess_math(told.get_text()) == (name, False)
    for other in (figure, plots.verdicts({("mean", "raw"): np.ones(2, dtype=int)}, ("mean", "raw"), labels, names),
                  plots.threshold(np.array([0.2, 0.8]), labels, names)):
        plots.png(other)


def test_a_threshold_stands_where_it_was_put_and_counts_as_the_second_label():
    labels, grid = np.array([0, 0, 1, 1]), np.linspace(0.01, 0.99, 99)
    left, right = plots.threshold(grid[[9, 29, 29, 59]], labels, ["bad", "good"], at=grid[29]).axes
    assert [int(text.get_text()) for text in left.texts] == [1, 1, 0, 2]
    assert left.get_title("left") == "75.0 % right at 0.30"
    assert right.lines[-1].get_xdata() == pytest.approx([0.3, 0.3])
    curves = {line.get_label(): line.get_ydata()[29] for line in right.lines[:3]}
    assert curves == pytest.approx({"precision": 200 / 3, "recall": 100, "accuracy": 75})


def test_a_boundary_asks_each_place_and_marks_each_class():
    points, labels = np.array([[0.0, 1.0], [4.0, 2.0], [1.0, 3.0]]), np.array([0, 1, 0])
    _figure, axis = plots.subplots()
    drawn, contourf = {}, axis.contourf

    def noted(x, y, probability, **how):
        drawn.update(x=x, y=y, p=probability)
        return contourf(x, y, probability, **how)
    axis.contourf = noted
    plots.boundary(axis, lambda places: 1 / (1 + np.exp(places[:, 1] - places[:, 0])), points, labels, ("no", "yes"))
    assert np.allclose(drawn["p"], 1 / (1 + np.exp(drawn["y"] - drawn["x"])))
    assert (drawn["x"].min(), drawn["x"].max(), drawn["y"].max()) == pytest.approx((-0.6, 4.6, 3.6))
    marks = {part.get_label(): part.get_offsets().tolist() for part in axis.collections
             if part.get_label() in ("no", "yes")}
    assert marks == {"no": [[0, 1], [1, 3]], "yes": [[4, 2]]}


@pytest.mark.parametrize(("metric", "kept", "score"), [("accuracy", 2, "accuracy"), ("f1", 1, "f1"),
                                                       ("loss", 2, "accuracy")])
def test_training_curves_are_those_of_the_history(metric, kept, score):
    epochs = [{"epoch": 1, "step": 2, "train_loss": 0.7, "loss": 0.6, "accuracy": 0.5, "f1": 0.8},
              {"epoch": 2, "step": 4, "train_loss": 0.4, "loss": 0.5, "accuracy": 0.75, "f1": 0.6}]
    steps = [{"step": step, "loss": loss} for step, loss in ((1, 0.8), (2, 0.6), (3, 0.5), (4, 0.3))]

    class History:
        best, best_epoch = epochs[kept - 1], kept
    History.epochs, History.steps, History.metric = epochs, steps, metric
    assert metric in training.METRICS
    left, right = plots.training_curves(History).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
    assert lines["training, each update"] == [[1, 0.8], [2, 0.6], [3, 0.5], [4, 0.3]]
    assert lines["training, mean of the epoch"] == [[2, 0.7], [4, 0.4]] and lines["validation"] == [[2, 0.6], [4, 0.5]]
    assert np.allclose(right.lines[0].get_xydata(), [[1, 100 * epochs[0][score]], [2, 100 * epochs[1][score]]])
    assert np.allclose(right.collections[0].get_offsets(), [[kept, 100 * epochs[kept - 1][score]]])
    assert right.get_ylabel() == ("macro F1 (%)" if metric == "f1" else "right (%)")
    assert [left.get_xlabel(), left.get_ylabel(), right.get_xlabel()] == ["update", "cross-entropy", "epoch"]


def test_training_without_validation_is_drawn_on_one_axis():
    class History:
        epochs, steps = [{"epoch": 1, "step": 2, "train_loss": 0.7}], [{"step": 1, "loss": 0.8}]
        metric = "accuracy"
    axis, = plots.training_curves(History).axes
    assert [line.get_label() for line in axis.lines] == ["training, each update", "training, mean of the epoch"]


def test_a_head_that_listens_to_the_token_itself_is_told_as_such():
    axis = plots.attention_head(["a", "b"], 0.05 + 0.85 * np.eye(2)[None, None], 0, 0).axes[0]
    assert axis.get_title("left") == "Layer 0, head 0: 90 % goes to the token itself"


def test_axes_are_named_after_what_they_show():
    def names(figure):
        return [(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes]
    heads = np.full((1, 1, 2, 2), 0.5)
    assert names(plots.attention_head(["a", "b"], heads, 0, 0)) == [("to whom", "who listens")]
    assert names(plots.ladder({})) == [("right (%), with 95 % interval", ""), ("both halves right (%)", "")]
    runs = [{"lr": 1e-4, "train_loss": [0.7], "loss": [0.6], "accuracy": [0.5]}]
    assert names(plots.learning_rate(runs, 1e-4)) == [("epoch", "cross-entropy"), ("epoch", "right on validation (%)")]
    labels = np.array([0, 1])
    left, right = names(plots.threshold(np.array([0.2, 0.8]), labels, ["bad", "good"]))
    assert left == ("predicted", "true") and right == ("threshold on the probability of “good”", "score (%)")
    assert names(plots.verdicts({("mean", "raw"): labels}, ("mean", "raw"), labels, ["bad", "good"])) == [
        ("validation right (%)", ""), ("predicted", "true")]
    ways = {"one": np.zeros((3, 2))}
    assert names(plots.race(ways, lambda a, b: a**2 + b**2)) == [("weight w₁ (flat direction)", "w₂ (steep)")]


def test_word_maps_show_the_known_words_in_the_colour_of_their_group():
    table = KeyedVectors(3)
    table.add_vectors(["soup", "bread", "good", "bad"], np.eye(4, 3, dtype=np.float32) + 0.1)
    axis = plots.word_maps({"one": table, "two": table}, {"food": ["soup", "bread", "cake"],
                                                         "verdict": ["good", "bad"]}).axes[0]
    colours = {text.get_text(): text.get_color() for text in axis.texts}
    assert colours == {"soup": plots.BLUE, "bread": plots.BLUE, "good": plots.ORANGE, "bad": plots.ORANGE}
    assert len(axis.collections) == 4 and axis.get_title("left") == "one"
    places = np.array([part.get_offsets()[0] for part in axis.collections])
    marks = {text.get_text(): text.xy for text in axis.texts}
    assert np.allclose(places, [marks[word] for word in ("soup", "bread", "good", "bad")])


@pytest.mark.filterwarnings("error")
def test_a_map_of_too_few_known_words_says_so():
    table, other = KeyedVectors(3), KeyedVectors(3)
    table.add_vectors(["soup", "bread", "good"], np.eye(3, dtype=np.float32))
    other.add_vectors(["soup", "bread"], np.eye(2, 3, dtype=np.float32))
    for tables in ({"few": other}, {"one": table, "few": other}):
        axes = plots.word_maps(tables, {"food": ["soup", "bread"], "verdict": ["good"]}).axes
        assert [text.get_text() for text in axes[-1].texts] == ["too few of the words are known"]
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["food", "verdict"]


def test_a_word_that_is_alone_in_its_table_has_no_neighbours():
    table = KeyedVectors(3)
    table.add_vectors(["soup"], np.ones((1, 3), dtype=np.float32))
    assert plots.neighbours(table, "soup", {"food": ["soup"]}).axes[0].get_title("left") == (
        "“soup” is alone in this table")


def test_words_on_a_map_are_written_apart_and_inside():
    table = KeyedVectors(2)
    words = ["one", "two", "three", "four", "five", "sixteen"]
    angles = np.array([0.0, 0.02, 0.04, 1.5, 1.52, 3.1])
    table.add_vectors(words, np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    for figure in (plots.word_maps({"one": table, "two": table}, {"numbers": words}),
                   plots.neighbours(table, "one", {"numbers": words[1:]})):
        axis = figure.axes[1]
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in axis.texts]
        assert len(boxes) >= len(words)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert all(axis.bbox.padded(2).contains(*box.min) and axis.bbox.padded(2).contains(*box.max) for box in boxes)


def luminance(colour):
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("draw", [
    lambda: plots.confusion(np.array([[9, 1], [4, 6]]), ["bad", "good"]).axes[0],
    lambda: plots.attention_head(["a", "b"], np.array([[[[0.9, 0.1], [0.4, 0.6]]]]), 0, 0).axes[0]])
def test_dark_means_much(draw):
    (image,) = draw().images
    shades = [luminance(image.cmap(image.norm(value))[:3]) for value in (0.1, 0.4, 0.6, 0.9)]
    assert shades == sorted(shades, reverse=True) and shades[0] - shades[-1] > 0.4


def test_counts_can_be_read_on_their_cells():
    axis = plots.confusion(np.array([[9, 1], [4, 6]]), ["bad", "good"]).axes[0]
    (image,) = axis.images
    for text in axis.texts:
        column, row = text.get_position()
        cell = luminance(image.cmap(image.norm(image.get_array()[row, column]))[:3])
        assert abs(luminance(text.get_color()) - cell) > 0.4


def test_a_region_wears_the_colour_of_the_class_that_is_probable_there():
    _figure, axis = plots.subplots()
    plots.boundary(axis, lambda places: 1 / (1 + np.exp(-places[:, 0])), np.array([[-9.0, 0], [9.0, 0]]),
                   np.array([0, 1]))
    (filled,) = (part for part in axis.collections if isinstance(part, ContourSet) and part.filled)
    tints = np.array([colour[:3] for colour in filled.get_facecolor()])
    own = [np.linalg.norm(tints - to_rgb(colour), axis=1) for colour in (plots.NEGATIVE, plots.POSITIVE)]
    assert (own[0][:2] < own[1][:2]).all() and (own[1][-2:] < own[0][-2:]).all()
    assert own[0][0] < own[0][1] and own[1][-1] < own[1][-2]  # the surer, the stronger
