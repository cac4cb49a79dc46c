"""The ladder: scores on the right texts, and none that was measured on other data, weights or another seed."""

import json

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from sft_helpers import evaluation, ladder, plots, resources

LABELS = ClassLabel(names=["negative", "positive"])


def split(labels, pairs, word="text"):
    kinds = Features({"id": Value("string"), "pair": Value("string"), "text": Value("string"), "label": LABELS})
    names = [str(i) for i in range(len(labels))]
    return Dataset.from_dict({"id": names, "pair": pairs, "text": [f"{word} {i}" for i in names], "label": labels},
                             features=kinds)


def splits(word="text"):
    test = split([1, 0, 0, 1, 1, 0, 1], ["a", "a", "", "", "b", "b", ""], word)
    return DatasetDict({"train": test, "validation": test, "test": test})


PREDICTED = [1, 0, 1, 1, 1, 1, 1]  # pair a right, pair b half right, of the three others two


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SFT_LADDER", str(tmp_path / "kept.json"))
    monkeypatch.setattr(ladder, "STUDY", tmp_path / "study.json")
    return tmp_path


def backbone(folder, content=b"weights"):
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(content)
    return resources.Backbone(folder.name, folder, "a test")


def test_ordinary_texts_and_pairs_are_scored_apart():
    rung = ladder.score(splits()["test"], PREDICTED)
    assert (rung.everything.value, rung.ordinary.value, rung.both_right.value, rung.source) == (5 / 7, 2 / 3, 1 / 2,
                                                                                            "here")
    runs = ladder.score(splits()["test"], [PREDICTED, [1, 0, 0, 1, 1, 0, 1]], "study")
    assert [part.value for part in runs[:3]] == pytest.approx([6 / 7, 5 / 6, 3 / 4]) and runs.source == "study"


def test_a_rung_is_known_on_the_same_data_weights_and_seed_alone(store):
    bert, other = backbone(store / "bert"), backbone(store / "other", b"other weights")
    kept = ladder.record("frozen BERT", splits(), PREDICTED, bert, seed=3)
    assert ladder.known(splits(), bert, 3) == {"frozen BERT": kept}
    assert ladder.known(splits(), bert, 4) == ladder.known(splits(), other, 3) == {}
    relabelled = splits()
    relabelled["train"] = split([0, 1, 0, 1, 1, 0, 1], ["a", "a", "", "", "b", "b", ""])
    assert ladder.known(relabelled, bert, 3) == {}
    for part in ("train", "validation", "test"):
        assert ladder.known(DatasetDict({**splits(), part: splits("changed text")[part]}), bert, 3) == {}


def test_a_rung_without_bert_holds_whichever_bert_is_at_hand(store):
    ladder.record("TF-IDF", splits(), PREDICTED, None, seed=0)
    assert list(ladder.known(splits(), backbone(store / "bert"), 0)) == ["TF-IDF"]
    depending = [rung for rung in ladder.RUNGS if "BERT" in rung or "tuned" in rung]
    assert tuple(rung for rung in ladder.RUNGS if rung not in depending) == ladder.WITHOUT_BACKBONE
    for rung in depending:
        with pytest.raises(ValueError, match="depends on a backbone"):
            ladder.record(rung, splits(), PREDICTED, None, seed=0)
    with pytest.raises(ValueError, match="no rung 'thawed BERT'"):
        ladder.record("thawed BERT", splits(), PREDICTED, None, seed=0)


def test_rungs_come_in_their_order_and_a_second_one_keeps_the_first(store):
    bert = backbone(store / "bert")
    for rung in ("fully fine-tuned", "majority", "frozen BERT"):
        ladder.record(rung, splits(), PREDICTED, bert, seed=0)
    assert list(ladder.known(splits(), bert, 0)) == ["majority", "frozen BERT", "fully fine-tuned"]


def test_what_was_not_measured_here_comes_from_a_study_of_the_same_data_and_backbone(store):
    bert, other = backbone(store / "bert"), backbone(store / "other", b"other weights")
    row = {"accuracy": 0.8, "low": 0.7, "high": 0.9, "ordinary": [0.85, 0.75, 0.95], "pairs_both_right": 0.5,
           "pairs_interval": [0.4, 0.6]}
    study = {"data": {"reviews": {"data_sha256": ladder._checksum(splits()), "rungs": [
        {"rung": "majority", **row}, {"rung": "frozen BERT", **row}],
        "backbone_sha256": resources.sha256(bert.folder / "model.safetensors")}}}
    ladder.STUDY.write_text(json.dumps(study))
    found = ladder.known(splits(), bert, 0)
    assert list(found) == ["majority", "frozen BERT"] and {rung.source for rung in found.values()} == {"study"}
    assert found["majority"][:3] == ((0.8, 0.7, 0.9), (0.85, 0.75, 0.95), (0.5, 0.4, 0.6))
    assert list(ladder.known(splits(), other, 0)) == ["majority"]  # the other rung was measured with another BERT
    assert ladder.known(splits("changed text"), bert, 0) == {}
    study["data"]["reviews"]["rungs"][0]["pairs_interval"] = None  # data without pairs
    ladder.STUDY.write_text(json.dumps(study))
    assert np.isnan(ladder.known(splits(), bert, 0)["majority"].both_right).all()
    measured = ladder.record("majority", splits(), PREDICTED, None, seed=0)
    assert ladder.known(splits(), bert, 0)["majority"] == measured  # what was measured here goes first


@pytest.mark.parametrize("damaged", ["[", "[1, 2]"])
def test_a_damaged_or_unwritable_store_blocks_nothing(store, monkeypatch, capsys, damaged):
    bert = backbone(store / "bert")
    (store / "kept.json").write_text(damaged)
    assert ladder.known(splits(), bert, 0) == {}
    ladder.record("majority", splits(), PREDICTED, None, seed=0)
    assert list(ladder.known(splits(), bert, 0)) == ["majority"]
    monkeypatch.setenv("SFT_LADDER", str(store / "none" / "kept.json"))
    assert ladder.record("majority", splits(), PREDICTED, None, seed=0).everything.value == 5 / 7
    assert "could not be kept" in capsys.readouterr().out


@pytest.mark.parametrize("damaged", [3, None, [[0.5, 0.4, 0.6]], [[0.5, 0.4, 0.6]] * 4, [[0.5]] * 3, [["?"] * 3] * 3])
def test_a_damaged_entry_of_the_store_is_as_good_as_none(store, damaged):
    bert = backbone(store / "bert")
    for rung in ("majority", "TF-IDF"):
        ladder.record(rung, splits(), PREDICTED, None, seed=0)
    kept = json.loads((store / "kept.json").read_text())
    kept[next(key for key in kept if key.startswith("majority"))] = damaged
    (store / "kept.json").write_text(json.dumps(kept))
    assert list(ladder.known(splits(), bert, 0)) == ["TF-IDF"]


def test_the_ladder_is_drawn_from_below_with_its_intervals():
    rungs = {"majority": (evaluation.Interval(0.5, 0.4, 0.65), evaluation.Interval(0.1, 0.0, 0.2)),
             "tuned": (evaluation.Interval(0.9, 0.85, 0.93), evaluation.Interval(0.7, 0.6, 0.75))}
    left, right = plots.ladder(rungs).axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["tuned", "majority"]
    assert [bar.get_width() for bar in left.patches] == pytest.approx([90, 50])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([70, 10])
    ends = [part.get_segments()[0][:, 0].tolist() for part in left.collections]
    assert np.allclose(ends, [[85, 93], [40, 65]])
    assert left.get_xlim() == right.get_xlim() == (0, 100)
    assert (left.get_title("left"), right.get_title("left")) == ("Ordinary reviews", "Contrast pairs")
    assert right.lines[-1].get_xdata() == [25, 25]  # blind guessing
