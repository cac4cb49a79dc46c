"""The shipped reviews keep the rules that their card states."""

import re
from collections import Counter, defaultdict

import pytest

from sft_helpers import resources
from sft_helpers.data import load, outside_pairs, pairs, stubborn_pair
from tests.written import DATA, holders_of, likeness, rows_of, words


@pytest.fixture(scope="module")
def rows():
    return rows_of("reviews.csv")


def test_columns_and_counts(rows):
    assert list(rows[0]) == ["id", "text", "label", "split", "pair"]
    assert len(rows) >= 2800
    sizes = Counter(row["split"] for row in rows)
    assert 1300 <= sizes["train"] <= 1600 and sizes["validation"] >= 400 and sizes["test"] >= 1000
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["text"] for row in rows}) == len(rows)


def test_lengths(rows):
    lengths = [len(row["text"].split()) for row in rows]
    assert min(lengths) >= 5 and max(lengths) <= 40
    assert 16 <= sum(lengths) / len(lengths) <= 20
    by_label = {label: [len(row["text"].split()) for row in rows if row["label"] == label]
                for label in ("positive", "negative")}
    means = {label: sum(found) / len(found) for label, found in by_label.items()}
    assert abs(means["positive"] - means["negative"]) < 1


def test_balance(rows):
    assert 0.48 <= sum(row["label"] == "positive" for row in rows) / len(rows) <= 0.52
    for split in ("train", "validation", "test"):
        labels = [row["label"] for row in rows if row["split"] == split]
        assert 0.45 <= labels.count("positive") / len(labels) <= 0.55


def test_pairs_are_whole_and_in_one_split(rows):
    halves = defaultdict(list)
    for row in rows:
        if row["pair"]:
            halves[row["pair"]].append(row)
    assert len(halves) >= 300
    for pair in halves.values():
        assert sorted(row["label"] for row in pair) == ["negative", "positive"]
        assert len({row["split"] for row in pair}) == 1
        a, b = (set(words(row["text"])) for row in pair)
        assert len(a & b) / len(a | b) >= 0.45, pair
    assert sum(pair[0]["split"] == "test" for pair in halves.values()) >= len(halves) / 3


def test_no_phrase_stands_in_more_than_five_texts(rows):
    found = holders_of([row["text"] for row in rows],
                       [row["pair"] or row["id"] for row in rows])  # the halves of a pair share their phrases
    too_common = {" ".join(phrase): len(texts) for phrase, texts in found.items() if len(texts) > 5}
    assert not too_common


def test_no_near_copies_across_splits(rows):
    for i, j, alike in likeness([row["text"] for row in rows]):
        if rows[i]["split"] != rows[j]["split"]:
            assert alike < 0.6, (rows[i]["text"], rows[j]["text"])


def test_surface_marks_belong_to_no_class(rows):
    for mark in (r"!", r"\?", r"\d", r"[^\x00-\x7f]", r"^[a-z]"):
        counts = Counter(row["label"] for row in rows if re.search(mark, row["text"]))
        assert max(counts.values()) / sum(counts.values()) < 0.65, (mark, counts)


def test_the_file_is_the_one_that_was_read_blind(rows):
    assert resources.shipped("reviews.csv")
    readings = {row["id"]: row for row in rows_of("second_reading/reviews.csv")}
    agreed = [row for row in readings.values() if row["reading"] == row["written"]]
    assert {row["id"] for row in rows} <= set(readings)
    for row in rows:
        reading = readings[row["id"]]
        assert (reading["text"], reading["written"]) == (row["text"], row["label"])
        assert reading["reading"] == row["label"]
    card = (DATA / "README.md").read_text(encoding="utf-8")
    assert f"{len(agreed):,} of {len(readings):,}" in card


def test_the_card_counts_what_is_there(rows):
    card = (DATA / "README.md").read_text(encoding="utf-8")
    sizes = Counter((row["split"], row["label"]) for row in rows)
    halves = Counter(row["split"] for row in rows if row["pair"])
    for split in ("train", "validation", "test"):
        line = f"| {split} | {sizes[split, 'positive']} | {sizes[split, 'negative']} | {halves[split] // 2} |"
        assert line in card, line
    for half in stubborn_pair():
        assert half in card
    words = Counter(min(len(row["text"].split()) // 5, 8) for row in rows)
    for low in range(1, 9):
        name = f"{5 * low}–{5 * low + 4}" if low < 8 else "40"
        assert f"| {name} | {words[low]} |" in card
    pairs = sum(halves.values())
    assert f"{pairs} halves of {pairs // 2} **contrast pairs**" in card
    plain, told = (int(re.search(rf"([\d,]+) \*\*{kind}\*\*", card)[1].replace(",", "")) for kind in ("plain", "told"))
    assert plain + told + pairs == len(rows)
    assert f"With {sizes['test', 'positive'] + sizes['test', 'negative']:,} test texts" in card


def test_loading_gives_every_row_in_its_split_and_pairs_positive_first(rows):
    splits = load("reviews")
    for name, part in splits.items():
        expected = [(row["id"], row["text"], row["label"], row["pair"]) for row in rows if row["split"] == name]
        names = part.features["label"].names
        assert [(row["id"], row["text"], names[row["label"]], row["pair"]) for row in part] == expected
        found = pairs(part)
        in_pairs = {row["pair"] for row in rows if row["split"] == name and row["pair"]}
        assert len(found) == len(in_pairs)
        for halves in found:
            assert [names[part[half]["label"]] for half in halves] == ["positive", "negative"]
            assert len({part[half]["pair"] for half in halves}) == 1
        assert outside_pairs(part).tolist() == [not pair for pair in part["pair"]]
    assert pairs(part.remove_columns("pair")) == [] and outside_pairs(part.remove_columns("pair")).all()


def test_the_stubborn_pair_follows_its_rule():
    test = load("reviews")["test"]
    texts = list(test["text"])
    same = [(texts[a], texts[b]) for a, b in pairs(test) if Counter(words(texts[a])) == Counter(words(texts[b]))]
    assert stubborn_pair() in same
    assert all(len(words(a)) <= len(words(stubborn_pair()[0])) for a, _ in same)


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    for name in ("reviews.csv", "SHA256SUMS"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    monkeypatch.setattr(resources, "DATA_FOLDER", tmp_path)
    load("reviews")
    content = (tmp_path / "reviews.csv").read_bytes()
    (tmp_path / "reviews.csv").write_bytes(content.replace(b",positive,", b",negative,", 1))
    with pytest.raises(resources.ResourceError, match="data/reviews.csv is not the file"):
        load("reviews")
