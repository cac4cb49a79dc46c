"""Stored and fresh outputs as nbval is given them: what may differ is made alike, all else is left to be found."""

import nbformat

from tests.nbval_compare import DRAWN, moved, settled


def text(said, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=said)


def figure(*lines, alt="Figure: two bars"):
    return nbformat.v4.new_output("display_data", {"image/png": "AAAA", "text/plain": alt},
                                  metadata={"image/png": {"alt": alt, "drawn": list(lines)}})


def agree(stored, fresh, **tolerance):
    was, now = ([(output.output_type, output.get("name"), output.get("text"), output.get("data")) for output in outputs]
                for outputs in settled(stored, fresh, tolerance))
    return was == now


def test_numbers_move_within_the_cells_tolerance_and_not_without_one():
    assert agree([text("loss 0.50\n")], [text("loss 0.50\n")])
    assert not agree([text("loss 0.50\n")], [text("loss 0.51\n")])
    assert agree([text("loss 0.50\n")], [text("loss 0.51\n")], abs=0.02)
    assert not agree([text("loss 0.50\n")], [text("loss 0.53\n")], abs=0.02)
    assert agree([text("loss 10.0\n")], [text("loss 10.9\n")], rel=0.1)
    assert not agree([text("loss 10.0\n")], [text("loss 11.2\n")], rel=0.1)
    assert not agree([text("loss 10.0\n")], [text("loss 11.5\n")], rel=0.1, abs=1)  # the wider of the two, not both
    assert not agree([text("loss 10.0\n")], [text("loss 11.1\n")], rel=0.1)  # a share of what is stored
    assert agree([text("gain -0.01\n")], [text("gain 0.01\n")], abs=0.05)
    assert not agree([text("gain -0.50\n")], [text("gain 0.50\n")], abs=0.05)
    assert agree([text("p 1e-03\n")], [text("p 2e-03\n")], abs=0.01)
    assert not agree([text("3 of 10\n")], [text("4 of 10\n")], abs=2)
    assert agree([text("3 of 10\n")], [text("4 of 10\n")], abs=2, integers=True)


def test_without_a_tolerance_every_character_counts():
    for stored, fresh in (("a   1.00  b\n", "a 1.00 b\n"), ("  x 1\n", "x 1\n"), ("0.00\n", "-0.00\n"),
                          ("1,200.0\n", "1200.0\n"), ("✓ one\n  two\n", "✓ one two\n")):
        assert not agree([text(stored)], [text(fresh)]) and agree([text(stored)], [text(stored)])
    assert not agree([figure("text a  b")], [figure("text a b")])


def test_words_outputs_and_their_number_have_to_be_the_same():
    assert not agree([text("loss 0.50\n")], [text("gain 0.50\n")], abs=9)
    assert not agree([text("loss 0.50\n")], [text("loss 0.50\n"), text("more\n")], abs=9)
    assert not agree([text("loss 0.50\n"), text("more\n")], [text("loss 0.50\n")], abs=9)
    assert not agree([], [text("loss 0.50\n")], abs=9) and not agree([text("loss 0.50\n")], [], abs=9)
    assert not agree([text("a\n")], [text("a\n", "stderr")], abs=9)


def test_the_value_of_a_cell_is_settled_as_text_is():
    value = [nbformat.v4.new_output("execute_result", {"text/plain": f"0.{digits}"}, execution_count=1)
             for digits in (50, 51)]
    assert not agree(value[:1], value[1:]) and agree(value[:1], value[1:], abs=0.02)


def test_a_figure_is_compared_by_its_words_its_marks_and_its_limits():
    bars, limits = "Rectangle #0072b2", "limits 0 10 0 100"
    stored = [figure(limits, bars, "at n2: 100 700; 200 800")]
    assert agree(stored, [figure(limits, bars, "at n2: 100 704; 200 800")])
    assert not agree(stored, [figure(limits, bars, "at n2: 100 710; 200 800")])
    assert agree(stored, [figure(limits, bars, "at n2: 100 710; 200 800")], figure=20)
    assert not agree(stored, [figure(limits, bars, "at n2: 100 700; 200 750")], abs=100, figure=20)
    assert not agree(stored, [figure(limits, "Rectangle #d55e00", "at n2: 100 700; 200 800")], abs=9, figure=99)
    assert not agree(stored, [figure("limits 0 10 0 110", bars, "at n2: 100 700; 200 800")])
    for others in ("0 11 0 100", "-1 10 0 100", "0 10 -9 100"):
        assert not agree(stored, [figure(f"limits {others}", bars, "at n2: 100 700; 200 800")])
    assert agree(stored, [figure("limits 0 10 0 100.2", bars, "at n2: 100 700; 200 800")])
    assert not agree(stored, [figure(limits, bars)]) and not agree(stored, [figure()])
    assert not agree(stored, [figure(limits, bars, "at n2: 100 700; 200 800", alt="Figure: three bars")], abs=9)
    assert DRAWN in settled(stored, stored, {})[0][0]["data"]


def test_a_figure_in_the_place_of_a_text_is_found():
    for stored, fresh in ((figure("at n1: 0 0"), text("a line\n")), (text("a line\n"), figure("at n1: 0 0"))):
        assert not agree([stored], [fresh], abs=9, figure=99)
        assert settled([stored], [fresh], {}) == ([stored], [fresh])


def test_html_is_compared_to_the_letter():
    one, other = (nbformat.v4.new_output("display_data", {"text/html": f"<b>0.{digits}</b>", "text/plain": "bold"})
                  for digits in (50, 51))
    assert agree([one], [one], abs=9) and not agree([one], [other], abs=9)


def test_how_far_outputs_moved_is_measured_in_text_and_in_figures():
    stored = [text("loss 0.50, 7 of 9\n"), figure("at n1: 100 700")]
    assert moved(stored, stored) == (0, 0)
    assert moved(stored, [text("loss 0.53, 9 of 9\n"), figure("at n1: 100 680")]) == (2, 20)
