"""Each exercise: the right answer passes, plausible wrong ones get a hint that fits their mistake."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from sft_helpers import exercises

RIGHT, WRONG = {}, {}
for path in sorted((Path(__file__).parent / "answers").glob("lesson*.py")):
    answers = runpy.run_path(str(path))
    RIGHT.update(answers["RIGHT"])
    WRONG.update(answers["WRONG"])


def test_every_exercise_is_tried_both_ways():
    assert set(RIGHT) == set(WRONG) == set(exercises.CHECKS)
    assert all(len(wrong) >= 3 for wrong in WRONG.values())


@pytest.mark.parametrize(("key", "answer"), [(key, a) for key, answers in RIGHT.items() for a in answers])
def test_the_right_answer_passes(key, answer, capsys):
    with np.errstate(all="ignore"):
        exercises.check(key, answer)
    assert capsys.readouterr().out == f"Exercise {key}: solved ✓\n"


@pytest.mark.parametrize(("key", "answer", "hint"), [(key, a, h) for key, wrong in WRONG.items() for a, h in wrong])
@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning")  # what the answer over an empty bin does
def test_a_wrong_answer_gets_a_hint_that_fits(key, answer, hint, capsys):
    with np.errstate(all="ignore"):
        exercises.check(key, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"Exercise {key}: not yet") and hint in said


def test_unsolved_unknown_and_progress(capsys):
    def stub(*_given):
        raise NotImplementedError

    def refused(*_given):
        raise NotImplementedError('"softmax" not implemented for \'Bool\'')

    exercises._solved.clear()
    for answer in (None, ..., stub):
        exercises.check("01.1", answer)
        assert capsys.readouterr().out == "Exercise 01.1: not tried yet.\n"
    exercises.check("01.1", lambda *given: stub(*given))
    assert "not yet – your code calls `stub`, which is not written yet" in capsys.readouterr().out
    exercises.check("01.1", refused)
    assert "not yet – your code stops with NotImplementedError: \"softmax\"" in capsys.readouterr().out
    with pytest.raises(KeyError, match="no exercise 99.1"):
        exercises.check("99.1", 1)
    exercises.check("01.2", RIGHT["01.2"][0])
    exercises.progress("01")
    assert capsys.readouterr().out.endswith("Lesson 01: 1 of 3 exercises solved (01.2)\n")


def test_predictions_are_kept_beside_the_notebook_and_block_nothing(tmp_path, monkeypatch, capsys):
    ledger = tmp_path / "predictions.json"
    monkeypatch.setenv("SFT_LEDGER", str(ledger))
    monkeypatch.setattr(exercises, "_guesses", {})
    exercises.predict("01.1", None)
    exercises.outcome("01.1", 0.62)
    assert "in place of None" in capsys.readouterr().out and not ledger.exists()
    exercises.predict("01.1", 0.7)
    exercises.outcome("01.1", 0.6225)
    assert "You guessed 0.7; it came out as 0.623." in capsys.readouterr().out
    assert json.loads(ledger.read_text()) == {"01.1": {"guess": 0.7, "outcome": 0.6225}}
    ledger.write_text("{damaged")
    exercises.predict("01.2", np.float32(5))
    assert json.loads(ledger.read_text()) == {"01.2": {"guess": 5}}
    assert (tmp_path / "predictions.damaged").read_text() == "{damaged"


def test_the_ledger_is_read_in_the_order_of_the_lessons(tmp_path, monkeypatch):
    path = tmp_path / "predictions.json"
    monkeypatch.setenv("SFT_LEDGER", str(path))
    monkeypatch.setattr(exercises, "_guesses", {})
    assert exercises.ledger() == {}
    for key, guess in (("10.1", 20), ("01.2", 0.5), ("03.3", 80)):
        exercises.predict(key, guess)
    exercises.outcome("10.1", 0)
    exercises.outcome("01.2", 0.75)
    assert list(exercises.ledger().items()) == [("01.2", (0.5, 0.75)), ("10.1", (20.0, 0.0))]
    for damaged in ("{", "[1]", '{"01.1": 3}', '{"01.1": {"outcome": 1}}', '{"01.1": {"guess": "x", "outcome": 1}}'):
        path.write_text(damaged)
        assert exercises.ledger() == {}


def test_a_ledger_that_cannot_be_written_is_said_and_blocks_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exercises, "_guesses", {})
    for place in (tmp_path / "missing" / "predictions.json", tmp_path):
        monkeypatch.setenv("SFT_LEDGER", str(place))
        exercises.predict("01.1", 0.5)
        exercises.outcome("01.1", 0.6)
    assert "could not be kept" in capsys.readouterr().out
    ledger, link = tmp_path / "real.json", tmp_path / "link.json"
    ledger.write_text("[]")
    link.symlink_to(ledger)
    monkeypatch.setenv("SFT_LEDGER", str(link))
    exercises.predict("01.1", 0.5)
    assert link.is_symlink() and json.loads(ledger.read_text()) == {"01.1": {"guess": 0.5}}


def test_a_guess_is_a_number_and_can_be_taken_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SFT_LEDGER", str(tmp_path / "p.json"))
    monkeypatch.setattr(exercises, "_guesses", {})
    for guess in ("much", float("nan"), float("inf")):
        exercises.predict("01.1", guess)
        assert "a guess is a number" in capsys.readouterr().out
    for key in ("01.1", "01.2"):
        exercises.predict(key, 1)
        exercises.outcome(key, 2)
    capsys.readouterr()
    exercises.predict("01.1", None)
    exercises.outcome("01.1", 2)
    assert "You guessed" not in capsys.readouterr().out
    assert list(exercises.ledger()) == list(json.loads((tmp_path / "p.json").read_text())) == ["01.2"]


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"01.2": {"guess": 1}}'])
def test_no_guess_leaves_the_ledger_as_it_is(tmp_path, monkeypatch, capsys, content):
    ledger = tmp_path / "p.json"
    ledger.write_text(content)
    monkeypatch.setenv("SFT_LEDGER", str(ledger))
    exercises.predict("01.1", None)
    assert capsys.readouterr().out.count("\n") == 1
    assert ledger.read_text() == content and list(tmp_path.iterdir()) == [ledger]


def test_a_solution_that_was_taken_back_is_no_longer_counted(capsys):
    exercises.check("01.2", RIGHT["01.2"][0])
    exercises.check("01.2", None)
    exercises.progress("01")
    assert "01.2" not in capsys.readouterr().out.splitlines()[-1]
