"""The shipped messages keep the rules of their card; a file of one's own is refused with one clear sentence."""

import re
import shutil
from collections import Counter, defaultdict

import pytest

from sft_helpers import messages, resources
from sft_helpers.data import DataError
from tests.written import DATA, holders_of, likeness, rows_of, words

FILES = ["messages.csv", *(f"shops/{name}/messages.csv" for name in messages.SHOPS)]
OBVIOUS = {  # the word that names an intent outright
    "order_status": r"\border|\bwhere('s| is)|\bstatus", "delivery_problem": r"deliver|arriv|\blate\b|damage|\bbroken",
    "return": r"\breturn|send(ing)? (it|them|this|back)|exchange|\bswap", "refund": r"refund|money back|reimburs",
    "payment_problem": r"payment|\bpay|\bpaid|\bcard\b|charge", "stock": r"stock|availab|\bleft\b|sold out",
    "booking_change": r"booking|booked|reschedul|\bmove\b|appointment|\bchange", "cancel": r"cancel",
    "opening_hours": r"\bopen|\bhours|\bclos", "complaint": r"complain|disappoint|rude|unacceptable",
    "thanks": r"thank|\bthx|\bcheers", "account_access": r"account|password|log ?in|log me|sign in",
    "invoice": r"invoice|receipt"}


@pytest.fixture(scope="module")
def general():
    return rows_of("messages.csv")


@pytest.fixture(scope="module")
def everything():
    return [{**row, "file": name} for name in FILES for row in rows_of(name)]


def test_columns_and_counts(general):
    assert list(general[0]) == ["id", "text", "intent", "sentiment", "split"]
    inside = [row for row in general if row["intent"] != messages.OUT_OF_SCOPE]
    counts = Counter(row["intent"] for row in inside)
    assert len(inside) >= 2000 and set(counts) == set(messages.INTENTS) and min(counts.values()) >= 110
    outside = Counter(row["split"] for row in general if row["intent"] == messages.OUT_OF_SCOPE)
    assert sum(outside.values()) >= 200 and set(outside) == {"validation", "test"}
    assert len({row["id"] for row in general}) == len({row["text"] for row in general}) == len(general)


@pytest.mark.parametrize("shop", messages.SHOPS)
def test_each_shop_has_corrections_and_test_messages(shop):
    rows = rows_of(f"shops/{shop}/messages.csv")
    assert list(rows[0]) == ["id", "text", "intent", "sentiment", "split"]
    counts = Counter((row["intent"], row["split"]) for row in rows)
    assert len({intent for intent, _ in counts}) == 8
    assert {split for _, split in counts} == {"corrections", "test"} and min(counts.values()) >= 20
    assert not {row["text"] for row in rows} & {row["text"] for row in rows_of("messages.csv")}


@pytest.mark.parametrize("shop", messages.SHOPS)
def test_a_shops_messages_speak_its_language(shop):
    """Most of the glossary's entries occur, and many words that no general message has."""
    rows, known = rows_of(f"shops/{shop}/messages.csv"), messages.load_shop(shop)
    text = " ".join(" ".join(words(row["text"])) for row in rows)
    entries = [entry for entry in known.glossary
               if any(word[:4] in text for word in words(entry) if len(word) > 3)]
    assert len(entries) >= 0.9 * len([entry for entry in known.glossary if any(len(w) > 3 for w in words(entry))])
    general = {word for row in rows_of("messages.csv") for word in words(row["text"])}
    assert sum(any(word not in general for word in words(row["text"])) for row in rows) > 0.6 * len(rows)


def test_angry_happy_and_neutral_senders_in_every_intent(general):
    counts = Counter((row["intent"], row["sentiment"]) for row in general)
    for intent in (*messages.INTENTS, messages.OUT_OF_SCOPE):
        for sentiment in messages.SENTIMENTS:
            assert counts[intent, sentiment] >= 12, (intent, sentiment)
    sentiments = Counter(row["sentiment"] for row in general)
    assert min(sentiments.values()) / len(general) > 0.24


def test_half_of_the_messages_do_not_name_their_intent(general):
    for intent, pattern in OBVIOUS.items():
        texts = [row["text"] for row in general if row["intent"] == intent]
        named = sum(bool(re.search(pattern, text, re.I)) for text in texts)
        assert named <= len(texts) / 2, (intent, named, len(texts))


def test_lengths(general):
    lengths = defaultdict(list)
    for row in general:
        lengths[row["intent"]].append(len(row["text"].split()))
    together = [length for found in lengths.values() for length in found]
    assert min(together) >= 3 and max(together) <= 40 and 14 <= sum(together) / len(together) <= 18
    for intent, found in lengths.items():
        assert 10 <= sum(found) / len(found) <= 22, intent
        assert min(found) <= 8 and max(found) >= 25, intent


def test_no_opening_and_no_phrase_is_used_up(everything):
    openings = Counter(tuple(words(row["text"])[:3]) for row in everything)
    assert openings.most_common(1)[0][1] <= 12
    found = holders_of([row["text"] for row in everything], range(len(everything)))
    assert max(map(len, found.values())) <= 5


def test_no_near_copies(everything):
    for i, j, alike in likeness([row["text"] for row in everything]):
        assert alike < 0.5, (everything[i]["text"], everything[j]["text"])


def test_surface_marks_belong_to_no_intent(general):
    inside = [row for row in general if row["intent"] != messages.OUT_OF_SCOPE]
    for mark in (r"!", r"\d", r"[\u2600-\u27bf\U0001f300-\U0001faff]", r"^[a-z]"):
        counts = Counter(row["intent"] for row in inside if re.search(mark, row["text"]))
        assert max(counts.values()) / sum(counts.values()) < 0.25, (mark, counts)


@pytest.mark.parametrize("file", FILES)
def test_the_file_is_the_one_that_was_read_blind(file):
    assert resources.shipped(file)
    readings = {row["id"]: row for row in rows_of("second_reading/messages.csv")}
    for row in rows_of(file):
        reading = readings[row["id"]]
        assert reading["text"] == row["text"]
        assert (reading["written_intent"], reading["written_sentiment"]) == (row["intent"], row["sentiment"])
        assert (reading["read_intent"], reading["read_sentiment"]) == (row["intent"], row["sentiment"])


def test_the_card_counts_what_is_there(general):
    card = (DATA / "messages.md").read_text(encoding="utf-8")
    readings = rows_of("second_reading/messages.csv")
    agreed = [row for row in readings if (row["read_intent"], row["read_sentiment"])
              == (row["written_intent"], row["written_sentiment"])]
    assert f"{len(agreed):,} of {len(readings):,}" in card
    counts = Counter((row["split"], row["intent"]) for row in general)
    for intent in (*messages.INTENTS, messages.OUT_OF_SCOPE):
        line = f"| {intent} | {counts['train', intent]} | {counts['validation', intent]} | {counts['test', intent]} |"
        assert line in card, line
    for shop in messages.SHOPS:
        sizes = Counter(row["split"] for row in rows_of(f"shops/{shop}/messages.csv"))
        assert f"| {shop} | {sizes['corrections']} | {sizes['test']} |" in card


# ---- loading -------------------------------------------------------------------------------------------------


def test_loading_gives_every_row(general):
    splits = messages.load()
    assert sum(map(len, splits.values())) == len(general)
    assert messages.OUT_OF_SCOPE not in splits["train"]["intent"]
    assert sorted(set(splits["train"]["intent"])) == list(messages.INTENTS)
    for shop in messages.SHOPS:
        parts = messages.load_shop_messages(shop)
        assert list(parts) == ["corrections", "test"]
        assert set(messages.load_shop(shop).replies) == set(messages.INTENTS)


def own(tmp_path, rows, header="text,intent,sentiment,split"):
    path = tmp_path / "mine.csv"
    path.write_text(header + "\n" + rows, encoding="utf-8")
    return path


@pytest.mark.parametrize(("rows", "says"), [
    ("a,x,negative,train\nb,y,happy,train\n", "row 3: unknown sentiment 'happy'"),
    ("a,x,negative,train\nb,y,Neutral,train\n", "row 3: unknown sentiment 'Neutral'"),
    ("a,x,negative,train\nb,out_of_scope,neutral,train\n", "row 3: a message of the intent 'out_of_scope' is"),
    ("a,x,negative,train\nb,y,neutral,train\nc,x,neutral,validation\nd,z,neutral,test\n", "unknown label 'z'"),
    ("a,x,negative,train\nA,y,negative,train\n", "row 2 and row 3: the same text is labelled 'x' and 'y'"),
    ("a,x,neutral,train\nb,y,neutral,train\nc,x,neutral,validation\nd,x,neutral,test\n"
     "e,out_of_scope,neutral,test\ne,out_of_scope,neutral,validation\n", "row 6 and row 7: the same text stands in"),
    ("a,out_of_scope,neutral,test\n", "every message is 'out_of_scope'; there is nothing to learn"),
    ("a,x,neutral,train\nb,x,neutral,validation\nc,x,neutral,test\n", "every training row has the label 'x'"),
])
def test_own_messages_are_checked(tmp_path, rows, says):
    with pytest.raises(DataError, match=says):
        messages.load(own(tmp_path, rows))


def test_own_messages_need_a_sentiment(tmp_path):
    with pytest.raises(DataError, match="no column 'sentiment'; it says negative, neutral, positive"):
        messages.load(own(tmp_path, "a,x\nb,y\n", "text,intent"))


def test_a_missing_column_of_messages_is_to_be_renamed_and_no_argument_is_named(tmp_path):
    for header, missing in (("text,kind,sentiment", "intent"), ("said,intent,sentiment", "text")):
        with pytest.raises(DataError, match=rf"no column '{missing}'.*Rename the right one to '{missing}'\.$"):
            messages.load(own(tmp_path, "a,x,neutral\n", header))


@pytest.mark.parametrize(("header", "cells"), [
    ("Text,Intent,Sentiment", "neutral"), ("text,intent, SENTIMENT", " neutral "),
    ("text,intent,sentiment,Sentiment", "neutral,other"), ("text,intent,Sentiment,sentiment", "other,neutral")])
def test_capitals_and_blanks_in_the_header_do_no_harm(tmp_path, header, cells):
    rows = "".join(f"text {i},{'xy'[i % 2]},{cells}\n" for i in range(6))
    splits = messages.load(own(tmp_path, rows, header))
    assert {split: set(part["sentiment"]) for split, part in splits.items()} == dict.fromkeys(splits, {"neutral"})


def test_own_messages_without_a_split_get_one(tmp_path):
    rows = "".join(f"text {i},{'xy'[i % 2]},neutral\n" for i in range(40))
    rows += "".join(f"other {i},out_of_scope,neutral\n" for i in range(6))
    splits = messages.load(own(tmp_path, rows, "text,intent,sentiment"))
    assert {name: len(part) for name, part in splits.items()} == {"train": 28, "validation": 4 + 3, "test": 8 + 3}
    assert messages.OUT_OF_SCOPE not in splits["train"]["intent"]
    repeated = "Other 0,out_of_scope,neutral\nother 1,out_of_scope,neutral\n"  # equal texts stay together
    splits = messages.load(own(tmp_path, rows + repeated, "text,intent,sentiment"))
    assert {name: len(part) for name, part in splits.items()} == {"train": 28, "validation": 4 + 4, "test": 8 + 4}
    again, other = (messages.load(own(tmp_path, rows, "text,intent,sentiment"), seed=seed) for seed in (0, 1))
    assert list(splits["train"]["text"]) == list(again["train"]["text"]) != list(other["train"]["text"])


GOOD = (DATA / "shops" / "plant_nursery" / "shop.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("change", "says"), [
    (lambda s: s.replace("name = ", "nom = ", 1), "'name' is missing"),
    (lambda s: s.replace("{returns}", "{retruns}"), r"\[replies\] return names {retruns}, which is not among"),
    (lambda s: s.replace("{returns}", "{returns"), "a brace is not closed"),
    (lambda s: s.replace("{returns}", "{}"), r"names {}, which is not among"),
    (lambda s: s.replace("{returns}", "{returns.__class__}"), "which is not among"),
    (lambda s: s.replace("{returns}", "{returns:d}"), r"\[replies\] return: .* nothing but its name"),
    (lambda s: s.replace("{returns}", "{returns!x}"), "nothing but its name"),
    (lambda s: s.replace("{returns}", "{returns:{width}}"), "nothing but its name"),
    (lambda s: re.sub('^neutral = ".*"', 'neutral = "{who}"', s, flags=re.M), r"\[tone\] neutral names {who}"),
    *((lambda s, entry=entry: re.sub(f"^{entry} = ", "mood = ", s, flags=re.M), rf"\[tone\] lacks '{entry}'")
      for entry in (*messages.SENTIMENTS, "handover")),
    (lambda s: s + "\n[extras]\n", "unknown part 'extras'"),
    (lambda s: s.replace("[facts]", "[facts"), "is not a TOML file"),
    (lambda s: s.replace('stock = "', 'stock = 3 # "', 1), "has to be a text"),
])
def test_a_faulty_shop_is_refused(tmp_path, change, says):
    (tmp_path / "shop.toml").write_text(change(GOOD), encoding="utf-8")
    with pytest.raises(messages.ShopError, match=says) as error:
        messages.load_shop(tmp_path)
    assert str(tmp_path / "shop.toml") in str(error.value) and "\n" not in str(error.value)


def test_a_shop_says_its_facts_and_begins_with_a_capital():
    shop = messages.Shop("Mine", "shop", {}, {"hours": "nine to five", "who": "ines"}, {}, {})
    assert shop.say("{who} is here from {hours}. Bye") == "Ines is here from nine to five. Bye"
    assert shop.say("") == ""


def test_a_shop_of_ones_own_is_a_folder(tmp_path):
    with pytest.raises(messages.ShopError, match="there is no such file; shipped shops are"):
        messages.load_shop(tmp_path)
    (tmp_path / "shop.toml").write_text(GOOD, encoding="utf-8")
    assert messages.load_shop(tmp_path) == messages.load_shop("plant_nursery")
    shutil.copy(DATA / "shops" / "plant_nursery" / "messages.csv", tmp_path)
    parts, shipped = (messages.load_shop_messages(name) for name in (tmp_path, "plant_nursery"))
    assert list(parts["test"]) == list(shipped["test"])
    rows = (tmp_path / "messages.csv").read_text(encoding="utf-8").replace(",test\n", ",corrections\n")
    (tmp_path / "messages.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(DataError, match=r"no row has the split 'test'; give each row one of corrections, test\.$"):
        messages.load_shop_messages(tmp_path)
    (tmp_path / "shop.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(messages.ShopError, match="UTF-8"):
        messages.load_shop(tmp_path)
    (tmp_path / "shop.toml").unlink()
    (tmp_path / "shop.toml").mkdir()
    with pytest.raises(messages.ShopError, match="shop.toml cannot be read"):
        messages.load_shop(tmp_path)


def shops_own(tmp_path, rows, header="text,intent,sentiment,split"):
    own(tmp_path, rows, header).rename(tmp_path / "messages.csv")
    return tmp_path


@pytest.mark.parametrize(("rows", "header", "says"), [
    ("a,x,neutral,corrections\nb,y,neutral,test\n", "text,intent,sentiment,split", "row 3: unknown label 'y'"),
    ("a,x,neutral,corrections\nA,x,neutral,test\n", "text,intent,sentiment,split",
     "row 2 and row 3: the same text stands in 'corrections' and 'test'"),
    ("a,x,neutral,test\nA,z,neutral,test\n", "text,intent,sentiment,split",
     "row 2 and row 3: the same text is labelled 'x' and 'z'"),
    ("a,x,neutral\nb,z,neutral\n", "text,intent,sentiment", "no column 'split'; each message of a shop is for corr"),
])
def test_a_shops_own_messages_are_checked(tmp_path, rows, header, says):
    with pytest.raises(DataError, match=says):
        messages.load_shop_messages(shops_own(tmp_path, rows, header), intents=["x", "z"])


def test_a_shop_and_messages_may_lie_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shop.toml").write_text(GOOD, encoding="utf-8")
    assert messages.load_shop("~") == messages.load_shop("plant_nursery")
    own(tmp_path, "a,x,neutral,train\nb,y,neutral,train\nc,x,neutral,validation\nd,x,neutral,test\n")
    assert messages.load("~/mine.csv")["train"]["text"][:] == ["a", "b"]


def test_a_shop_may_teach_a_single_intent(tmp_path):
    parts = messages.load_shop_messages(shops_own(tmp_path, "a,x,neutral,corrections\nb,x,neutral,test\n"))
    assert [list(part["intent"]) for part in parts.values()] == [["x"], ["x"]]


def test_a_changed_shipped_shop_is_refused(tmp_path, monkeypatch):
    shutil.copytree(DATA / "shops", tmp_path / "shops")
    shutil.copy(DATA / "SHA256SUMS", tmp_path)
    monkeypatch.setattr(resources, "DATA_FOLDER", tmp_path)
    path = tmp_path / "shops" / "plant_nursery" / "shop.toml"
    path.write_text(GOOD.replace("Ines", "Inez"), encoding="utf-8")
    with pytest.raises(resources.ResourceError, match="shop.toml is not the file"):
        messages.load_shop("plant_nursery")


def test_messages_by_intent_keep_text_and_order_and_leave_out_what_is_out_of_scope():
    splits = messages.load()
    by_intent = messages.by_intent(splits)
    for split, rows in by_intent.items():
        names = rows.features["label"].names
        assert names == sorted(messages.INTENTS)
        expected = [(text, intent) for text, intent in zip(splits[split]["text"], splits[split]["intent"], strict=True)
                    if intent != messages.OUT_OF_SCOPE]
        assert [(row["text"], names[row["label"]]) for row in rows] == expected
