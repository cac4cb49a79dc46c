"""What a figure draws, in words: a change that an eye would see changes them, and nothing else does."""

import numpy as np
import pytest

from sft_helpers import plots
from sft_helpers.drawn import drawn
from tests.nbval_compare import settle_figure


def picture(title="Loss falls", x=(1, 2, 3), y=(3.0, 2.0, 1.5), colour=plots.BLUE, label="training", bars=(4, 2),
            names=("a", "b"), note="here", spot=(2, 2.0), scale="linear", image=((0, 1), (1, 0)),
            points=((0, 1), (1, 2)), swapped=False):
    figure, (left, middle, right) = plots.subplots(1, 3, figsize=(9, 3))
    left.plot(*((y, x) if swapped else (x, y)), color=colour, label=label, marker="o")
    left.set(title=title, xlabel="epoch", ylabel="loss", yscale=scale)
    left.legend()
    left.annotate(note, spot)
    middle.bar(names, bars)
    middle.scatter(*zip(*points, strict=True))
    middle.fill_between([0, 1], [0, 0], [1, bars[1]])
    right.imshow(np.array(image), vmin=0, vmax=1)
    return drawn(figure)


def test_the_same_figure_is_described_alike():
    assert picture() == picture()


@pytest.mark.parametrize("change", [
    {"title": "Loss rises"}, {"x": (1, 2, 4)}, {"y": (3.0, 1.5, 2.0)}, {"y": (3.0, 2.1, 1.5)}, {"swapped": True},
    {"colour": plots.RED}, {"label": "validation"}, {"bars": (2, 4)}, {"bars": (4, 2.2)}, {"names": ("b", "a")},
    {"note": "there"}, {"spot": (1, 3.0)}, {"scale": "log"}, {"image": ((1, 0), (0, 1))}, {"points": ((0, 2), (1, 1))},
], ids=str)
def test_what_an_eye_would_see_is_seen(change):
    stored, fresh = picture(), picture(**change)
    assert settle_figure(stored, fresh) == fresh != stored


def test_what_no_eye_would_see_is_let_pass():
    stored, fresh = picture(), picture(y=(3.0, 2.004, 1.5), bars=(4, 2.004))
    assert stored != fresh
    assert settle_figure(stored, fresh) == stored


def test_a_margin_lets_marks_move_but_no_words():
    stored, fresh = picture(), picture(y=(3.0, 2.1, 1.5))
    assert settle_figure(stored, fresh, margin=100) == stored
    assert settle_figure(stored, picture(y=(3.0, 2.1, 1.5), title="Loss rises"), margin=100) != stored


def test_a_title_may_hold_a_number_that_moves_within_the_cells_tolerance():
    stored, fresh = picture(title="Loss falls to 1.50"), picture(title="Loss falls to 1.52")
    assert settle_figure(stored, fresh) == fresh
    assert settle_figure(stored, fresh, absolute=0.05) == stored


@pytest.mark.parametrize(("do", "one", "other"), [
    (lambda axis, names: axis.set(xlabel=names[0], ylabel=names[1]), ("epoch", "loss"), ("loss", "epoch")),
    (lambda axis, title: axis.figure.suptitle(title), "one", "other"),
    (lambda axis, title: axis.set_title(title, loc="right"), "one", "other"),
    (lambda axis, look: axis.plot([0, 1], [1, 0], look), "-", "--"),
    (lambda axis, look: axis.plot([0, 1], [1, 0], look), "o", "^"),
    (lambda axis, colour: axis.bar([0.5], [1], color=colour), plots.BLUE, plots.RED),
    (lambda axis, tail: axis.annotate("", (1, 1), tail, arrowprops={}), (0, 0), (0, 1)),
    (lambda axis, place: axis.text(*place, "here"), (0.5, 0.5), (0.1, 0.5)),
    (lambda axis, values: axis.scatter([0, 1], [0, 1], c=values), [0, 1], [1, 0]),
    (lambda axis, names: axis.set_xticks([0, 1], names), ["a", "b"], ["b", "a"]),
    (lambda axis, height: axis.axhline(height), 0.2, 0.8), (lambda axis, end: axis.axvspan(0, end), 0.2, 0.4),
    (lambda axis, name: axis.legend([name]), "one", "other"),
])
def test_each_part_of_a_figure_counts(do, one, other):
    def made(value):
        figure, axis = plots.subplots()
        axis.plot([0, 1], [0, 1])
        do(axis, value)
        return drawn(figure)
    assert made(one) == made(one)
    assert settle_figure(made(one), made(other)) == made(other) != made(one)


def test_the_same_shape_in_other_units_is_seen():
    def curve(scale):
        figure, axis = plots.subplots()
        axis.plot([0, 1, 2], [0, scale, 3 * scale])
        return drawn(figure)
    assert settle_figure(curve(1), curve(10)) == curve(10) != curve(1)


def test_of_a_long_curve_every_part_counts():
    x = np.linspace(0, 1, 500)
    stored = picture(x=x, y=np.sin(x))
    bent = np.where((x > 0.5) & (x < 0.6), np.sin(x) + 0.1, np.sin(x))
    assert settle_figure(stored, picture(x=x, y=bent)) != stored
    swung = bent - np.where((x > 0.8) & (x < 0.9), 0.1, 0)  # the mean of all stays where it was
    assert settle_figure(stored, picture(x=x, y=swung)) != stored


def test_gaps_are_written_as_gaps():
    figure, axis = plots.subplots()
    axis.plot([0, 1, 2], [0, np.nan, 1])
    assert any("; - -; " in line for line in drawn(figure))
