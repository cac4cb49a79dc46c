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


def test_of_a_long_curve_every_part_counts():
    x = np.linspace(0, 1, 500)
    stored = picture(x=x, y=np.sin(x))
    bent = np.where((x > 0.5) & (x < 0.6), np.sin(x) + 0.1, np.sin(x))
    assert settle_figure(stored, picture(x=x, y=bent)) != stored


def test_gaps_are_written_as_gaps():
    figure, axis = plots.subplots()
    axis.plot([0, 1, 2], [0, np.nan, 1])
    assert any("; - -; " in line for line in drawn(figure))
