"""What the studies have committed can be read, and says what README quotes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import assistant, data_choice
from sft_helpers import data

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def read(name):
    path = RESULTS / name
    if not path.is_file():
        pytest.skip(f"{name} has not been made yet")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["ladder.json", "fine_tuning.json", "bench.json", "real_data.json", "assistant.json",
                                  "cures.json", "curves.json"])
def test_figures_say_when_where_and_with_what_they_were_measured(name):
    found = read(name)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["date"]) and found["machine"]
    assert {"torch", "transformers", "datasets"} <= set(found["versions"])


def test_bench_rows_are_ratios_of_their_values():
    smaller_is_better = {"seconds", "MiB", "ms a call"}
    for row in read("bench.json")["rows"]:
        ours, theirs = row["ours_value"], row["peer_value"]
        if ours is None or theirs is None:
            assert row["ratio"] is None
            continue
        expected = theirs / ours if row["unit"] in smaller_is_better else ours / theirs
        assert row["ratio"] == pytest.approx(expected), row["task"]


def test_readme_quotes_the_bench():
    """Each line of README's table is a row of bench.json, rounded."""
    rows = {(row["task"], row["peer"]): row for row in read("bench.json")["rows"]}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| ([^|]+?) \| `([^`|]+)` \| ([\d.]+) × \|$", readme, re.M)
    assert len(lines) >= 6
    for task, peer, quoted in lines:
        digits = len(quoted.partition(".")[2])
        row = rows[task, peer]
        assert f"{row['ratio']:.{digits}f}" == quoted and row["machine"] in readme, (task, peer)


def test_readme_says_what_the_bench_found_beside_its_rows():
    bench, readme = read("bench.json"), (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"in {bench['full']['precision']} reaches {100 * bench['full']['share']:.0f} % of the rate" in readme
    assert f"with {bench['growth']['million_rows']['mib_above_model']} MiB above the model" in readme
    gpu, on_gpu = bench["gpu"], next(row for row in bench["rows"] if row["task"] == "full, bert-base on a GPU")
    assert f"{gpu['batch_size']} texts an update, {on_gpu['ours_value']:,.0f} texts a second" in readme
    assert on_gpu["machine"] in readme and f"That is {100 * gpu['share']:.0f} % of the rate" in readme
    shares = gpu["profile_per_cent"]
    assert f"{shares['matrix products']:.0f} % goes into matrix products" in readme
    assert abs(shares["matrix products"] - shares["copies and number formats"]) < 2


def test_each_row_of_real_data_is_the_mean_and_spread_of_its_seeds():
    """What is measured there is checked, not that everything has been."""
    for row in read("real_data.json")["rows"]:
        assert row["data"] == "banking77" and row["shots"] in (10, 30, "full") and 0 < row["accuracy"] < 1
        assert row["seeds"] == len(row["each_seed"]) >= 3
        assert row["accuracy"] == pytest.approx(np.mean(row["each_seed"]))
        assert row["spread"] == pytest.approx(np.std(row["each_seed"], ddof=1))


def test_a_setting_of_real_data_is_the_best_of_those_tried_on_texts_held_back():
    rows = {(row["mode"], row["shots"]): row for row in read("real_data.json")["rows"]}
    tried = [row for row in rows.values() if row.get("held_back")]
    assert rows["full", "full"] in tried
    for row in tried:
        assert row["setting"] == max(row["held_back"], key=lambda one: one["accuracy"])["setting"]


def test_what_readme_and_lesson_11_say_of_the_setting_for_all_questions_is_so():
    (row,) = [row for row in read("real_data.json")["rows"] if (row["mode"], row["shots"]) == ("full", "full")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"each layer learns at {row['setting']['layer_decay']} of the rate of the one above it" in readme
    assert "a tenth of the target is spread" in readme and row["setting"]["label_smoothing"] == 0.1
    assert f"The {100 * row['accuracy']:.1f} owes half a point to two settings" in readme
    assert len(row["held_back"]) == 17 and "full had seventeen to choose from" in readme
    lesson = (ROOT / "notebooks" / "11_overfitting_and_cures.ipynb").read_text(encoding="utf-8")
    assert "the setting that did best on questions held back smooths the labels" in lesson


def test_readme_quotes_the_real_data():
    rows = {(row["mode"], row["shots"]): row["accuracy"] for row in read("real_data.json")["rows"]}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("| trained | 10 a label | 30 a label | all 10,003 |")[1].split("\n\n")[0]
    lines = re.findall(r"^\| ([a-z, -]*[a-z]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", table, re.M)
    assert {mode for mode, *_quoted in lines} == {mode for mode, _shots in rows} and len(lines) == 4
    for mode, *quoted in lines:
        assert quoted == [f"{100 * rows[mode, shots]:.1f}" for shots in (10, 30, "full")], mode


def test_each_data_set_of_the_ladder_says_when_it_was_measured():
    for part in read("ladder.json")["data"].values():
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", part["date"]) and part["machine"] and part["versions"]


def test_the_assistants_study_has_three_shops_and_five_draws_and_their_rows_are_complete():
    rows = {(row["shop"], row["way"], row["corrections"]): row for row in read("assistant.json")["rows"]}
    shops = {shop for shop, _, _ in rows}
    assert len(shops) == 3
    for shop in shops:
        for way in ("head, general messages replayed", "head, corrections alone"):
            for count in (0, 1, 2, 4, 8, 16):
                row = rows[shop, way, count]
                assert 0 < row["shop_accuracy"] < 1 and 0 < row["general_accuracy"] < 1 and row["seconds"] >= 0
                assert row["draws"] == (5 if count else 1)
        for way, (_how, sizes, draws, _settings) in assistant.WAYS.items():  # the peers as well
            for count in sizes:
                row = rows[shop, way, count]
                assert row["draws"] == (draws if count else 1)
                assert row["date"] and row["machine"] and row["versions"]
        untaught, taught = (rows[shop, "head, general messages replayed", count] for count in (0, 8))
        assert taught["shop_accuracy"] > untaught["shop_accuracy"]


def test_readme_quotes_how_fast_the_assistant_answers():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"median {read('bench.json')['reply']['median_ms']:.0f} ms" in readme


def test_bench_rows_say_where_each_was_measured_and_no_gpu_stands_under_a_cpus_name():
    rows = read("bench.json")["rows"]
    assert all(row["date"] and row["machine"] and row["versions"] for row in rows)
    assert len({(row["task"], row["peer"]) for row in rows}) == len(rows)
    for row in rows:
        assert ("GPU" in row["task"]) == ("NVIDIA" in row["machine"])


def test_learning_curves_are_means_of_their_draws():
    rows = read("curves.json")["rows"]
    assert {row["data"] for row in rows} == {"reviews", "messages"} and len(rows) >= 48
    for row in rows:
        assert row["draws"] == len(row["each_draw"]) >= 5
        assert row["accuracy"] == pytest.approx(np.mean(row["each_draw"]))
        assert row["spread"] == pytest.approx(np.std(row["each_draw"], ddof=1))


def test_runs_of_the_cures_have_their_curves_and_the_epoch_they_would_have_stopped_at():
    rows = read("cures.json")["rows"]
    assert len({(row["data"], row["cure"], str(row["setting"]), row["seed"]) for row in rows}) == len(rows)
    for row in rows:
        assert [entry["epoch"] for entry in row["history"]] == list(range(1, 11))
        for measured in (row["last"], row["best"]):
            assert measured["loss"] > 0 and 0 < measured["accuracy"] < 1
        assert row["machine"] and row["date"] and row["versions"]


@pytest.mark.parametrize("seed", range(3))
def test_training_sets_of_the_data_choice_differ_in_nothing_but_what_their_name_says(seed):
    train = data.load("reviews")["train"]
    ordinary, labels = data.outside_pairs(train), np.array(train["label"])
    known, measured = data_choice.held_out(train, seed)
    assert len(known) == 2 * len(measured) and sorted(known + measured) == sorted(data.pairs(train))
    sets = {name: data_choice.training_rows(train, name, seed) for name in data_choice.SETS}
    for name, (whole, alone) in data_choice.SETS.items():
        rows = set(sets[name])
        assert len(rows) == len(sets[name]) == data_choice.COMMON + data_choice.CHANGED
        assert labels[list(rows)].mean() == 0.5
        both = sum(rows.issuperset(pair) for pair in known)
        assert both == whole and sum(not ordinary[row] for row in rows) == 2 * whole + alone
        assert not rows & {row for pair in measured for row in pair}  # what is measured is never trained on
        shared = [row for row in rows & set(sets["no pairs"]) if ordinary[row]]
        assert len(shared) == len(rows) - 2 * whole - alone >= data_choice.COMMON


def test_data_choice_has_a_digit_for_each_text_and_pair():
    found = read("data_choice.json")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["date"]) and found["machine"] and found["versions"]
    rows = {(row["way"], row["set"], row["seed"]): row for row in found["rows"]}
    assert len(rows) == len(found["rows"])
    for way in found["ways"]:
        for name in data_choice.FEWER.get(way, data_choice.SETS):
            for seed in range(3):
                row = rows[way, name, seed]
                assert [len(row[part]) for part in ("ordinary", "left_out_pairs", "validation_pairs")] == [360, 60, 45]
                assert set(row["ordinary"]) <= set("01") and set(row["left_out_pairs"]) <= set("012")
                assert row["precision"] in ("fp32", "bf16") and row["machine"]
