"""The assistant: what it answers, learns, forgets, keeps on disk, and what no text of any kind can break."""

import copy
import functools
import inspect
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sft_helpers import messages, resources, storage
from sft_helpers.assistant import Assistant, AssistantError, clean, depths, row_weights
from sft_helpers.data import DataError
from sft_helpers.storage import digest
from tests import tiny

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ["Has my parcel left yet?", "When will the lamp be sent to me?", "Where is order 4412 now?",
         "Is it on its way already?", "Please call off the chairs.", "I no longer want the sofa, stop it.",
         "Cancel my subscription.", "Don't send the table, we changed our minds.", "Thank you, the cake was lovely!",
         "You were so kind to my mother.", "Thanks a lot.", "Best haircut in years, bless you."]
INTENTS = ["order_status"] * 4 + ["cancel"] * 4 + ["thanks"] * 4
MOODS = ["neutral", "neutral", "negative", "positive"] * 2 + ["positive"] * 4


def make():
    return Assistant(resources.find_backbone(), TEXTS, INTENTS, MOODS, messages.load_shop("bicycle_workshop"), 0.6)


@functools.cache
def made():
    return make()


def fresh():
    """An assistant of one's own; only what none of them changes, BERT and its tokenizer, is the others' too."""
    first = made()
    return copy.deepcopy(first, {id(part): part for part in (first._bert, first._tokenizer)})


@pytest.fixture(scope="module")
def shared():
    return made()


@pytest.fixture
def assistant():
    return fresh()


def test_it_answers_with_the_shops_facts_in_its_tone(shared):
    reply = shared.reply("Where has my lamp got to, is it sent?")
    shop = shared.shop
    assert reply.intent == "order_status" and reply.sure
    assert reply.text.startswith(shop.tone[reply.sentiment])
    assert shop.facts["ticket_page"] in reply.text
    for found in (reply.intents, reply.sentiments):
        assert sum(found.values()) == pytest.approx(1, abs=1e-5)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_each_mood_is_answered_in_its_own_tone(shared):
    """Whatever the mood is taken for: the answer begins as the shop begins for that mood."""
    found = {}
    for text in (*TEXTS, "Thanks a lot, lovely cake!", "Where is order 4412 now?", "When will the lamp be sent to me?"):
        reply = shared.reply(text)
        found[reply.sentiment] = reply.text
    assert set(found) == set(messages.SENTIMENTS)
    for mood, text in found.items():
        assert text.startswith(shared.shop.tone[mood])


def test_a_message_is_read_at_the_bottom_the_middle_and_the_top(shared):
    assert depths(6) == (0, 3, 6) and depths(12) == (0, 6, 12)
    inputs = shared._tokenizer([TEXTS[0]], return_tensors="pt")
    with torch.no_grad():
        hidden = shared._bert(**inputs, output_hidden_states=True).hidden_states
    expected = torch.cat([hidden[depth].mean(dim=1) for depth in (0, 3, 6)], dim=1)
    assert torch.allclose(shared._encode([TEXTS[0]]), expected, atol=1e-5)


def test_an_unsure_assistant_hands_over_and_says_so(assistant):
    assistant.threshold = 1.0
    reply = assistant.reply("Where is my lamp?")
    assert not reply.sure
    assert assistant.shop.say(assistant.shop.tone["handover"]) in reply.text


def test_as_sure_as_the_threshold_asks_is_sure_enough(assistant):
    assert inspect.signature(Assistant).parameters["threshold"].default == 0.5
    reply = assistant.reply(TEXTS[0])
    assistant.threshold = max(reply.intents.values())
    assert assistant.reply(TEXTS[0]).sure
    assistant.threshold += 1e-3
    assert not assistant.reply(TEXTS[0]).sure


def test_the_penalty_reaches_both_heads(shared):
    strict = Assistant(shared.backbone, TEXTS, INTENTS, MOODS, shared.shop, C=1e-6)
    for part in strict.probabilities(TEXTS):  # hardly any weight is allowed: all texts look alike
        assert part.std(dim=0).max() < 0.01
    for part in shared.probabilities(TEXTS):
        assert part.std(dim=0).max() > 0.05


def test_an_intent_that_the_shop_has_no_reply_for_is_handed_over(assistant):
    del assistant.shop.replies["cancel"]
    reply = assistant.reply("Please call off the chairs.")
    assert reply.intent == "cancel" and not reply.sure


def test_one_message_and_many_give_the_same_probabilities(shared):
    some = ["Where is it?", "No thanks, stop the order please, we have changed our minds about all of it.", "Lovely!"]
    together, _ = shared.probabilities(some)
    for row, text in zip(together, some, strict=True):
        assert list(shared.reply(text).intents.values()) == pytest.approx(sorted(row.tolist(), reverse=True), abs=1e-5)


def test_the_words_are_the_changes_that_leaving_out_makes(shared):
    text = "Please call off the chairs today"
    words = shared.words(text)
    assert [word for word, _ in words] == text.split()
    intent = shared.intents.index(shared.reply(text).intent)

    def odds(text):
        p = shared.probabilities([text])[0].double()[0, intent]
        return torch.log(p / (1 - p)).item()
    assert words[2][1] == pytest.approx(odds(text) - odds("Please call the chairs today"), abs=1e-3)
    assert shared.words("") == [] and len(shared.words("word " * 5000)) == 40


def test_the_words_are_about_the_intent_of_the_whole_message(shared, monkeypatch):
    """Also where nearly every word, left out, would lead to another one."""
    whole, without = [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]
    monkeypatch.setattr(shared, "probabilities",
                        lambda texts: (torch.tensor([whole] + [without] * (len(texts) - 1)), None))
    expected = np.log(0.6 / 0.4) - np.log(0.1 / 0.9)
    assert shared.words("stop parcel") == [("stop", pytest.approx(expected)), ("parcel", pytest.approx(expected))]


# ---- corrections ---------------------------------------------------------------------------------------------


def test_a_correction_is_learnt_and_undone_to_the_bit(assistant):
    text = "Is she off the stand?"
    before = assistant.probabilities(TEXTS + [text])[0]
    assert assistant.learn([text], ["order_status"]) == 1
    after = assistant.probabilities(TEXTS + [text])[0]
    place = assistant.intents.index("order_status")
    assert after[-1, place] > before[-1, place] + 0.1
    assert assistant.undo() == (text, "order_status")
    assert torch.equal(assistant.probabilities(TEXTS + [text])[0], before)
    assert assistant.undo() is None


def test_a_correction_weighs_more_and_no_intent_becomes_rare(assistant):
    targets = [0, 0, 1, 1, 1, 1] + [0]
    counts = row_weights(targets, 1, 4.0)
    assert counts[-1] == pytest.approx(4 * counts[0])
    assert np.bincount(targets, counts) == pytest.approx([2, 4])  # as among the general messages
    assert row_weights(targets, 0, 4.0) == pytest.approx(np.ones(7))
    text = "Is she off the stand?"
    place, found = assistant.intents.index("order_status"), []
    for weight in (1.0, 4.0):
        assistant.weight = weight
        assistant.learn([text], ["order_status"])
        found.append(assistant.probabilities([text])[0][0, place].item())
        assistant.undo()
    assert found[1] > found[0] + 0.02


def test_the_order_of_corrections_does_not_matter(assistant):
    texts, intents = ["Is she off the stand?", "Strike my B", "What a build!"], ["order_status", "cancel", "thanks"]
    assistant.learn(texts, intents)
    other = make()
    other.learn(texts[::-1], intents[::-1])
    assert torch.allclose(assistant.probabilities(TEXTS)[0], other.probabilities(TEXTS)[0], atol=1e-4)


def test_a_contradiction_replaces_and_undo_brings_the_first_back(assistant):
    assistant.learn(["Strike it"], ["cancel"])
    first = assistant.probabilities(TEXTS)[0]
    assert assistant.learn(["  strike   IT "], ["thanks"]) == 1
    assert [c.intent for c in assistant.corrections] == ["thanks"]
    assert assistant.undo().intent == "thanks"
    assert [c.intent for c in assistant.corrections] == ["cancel"]
    assert torch.equal(assistant.probabilities(TEXTS)[0], first)


def test_the_same_correction_a_thousand_times_counts_once(assistant):
    assistant.learn(["Strike it"], ["cancel"])
    once = assistant.probabilities(TEXTS)[0]
    assert assistant.learn(["Strike it"] * 1000, ["cancel"] * 1000) == 0
    assert torch.equal(assistant.probabilities(TEXTS)[0], once)
    assert len(assistant.corrections) == 1


def test_one_call_may_say_the_same_twice_or_change_its_mind(assistant):
    assert assistant.learn(["Strike it", "strike it"], ["cancel", "cancel"]) == 1
    assert assistant.learn(["Strike it", "Strike it"], ["thanks", "cancel"]) == 2
    assert [c.intent for c in assistant.corrections] == ["cancel"]
    assert [assistant.undo().intent for _ in range(3)] == ["cancel", "thanks", "cancel"] and assistant.undo() is None


@pytest.mark.parametrize(("texts", "intents", "says"), [
    (["fine"], ["no_such"], "There is no intent 'no_such'; possible are cancel, order_status, thanks"),
    ([" \x00 "], ["cancel"], "An empty message cannot be corrected"),
    (["a", "b"], ["cancel"], "2 texts and 1 intents"),
    ([None], ["cancel"], "A message is a text, not NoneType"),
    (["fine", "good"], ["cancel", ["cancel"]], "There is no intent"),
])
def test_a_wrong_correction_is_refused_and_nothing_is_taken(assistant, texts, intents, says):
    before = assistant.probabilities(TEXTS)[0]
    with pytest.raises(AssistantError, match=says):
        assistant.learn(texts, intents)
    assert not assistant.corrections
    assert torch.equal(assistant.probabilities(TEXTS)[0], before)


@pytest.mark.parametrize(("change", "says"), [
    ({"threshold": 2}, "threshold = 2 makes no sense"), ({"weight": 0}, "weight = 0"),
    ({"C": float("inf")}, "C = inf"), ({"C": 0}, "C = 0"), ({"threshold": -0.1}, "threshold = -0.1"),
    ({"intents": ["cancel"] * 12}, "at least two intents"),
    ({"sentiments": ["cross"] * 12}, "Unknown sentiment 'cross'"),
    ({"texts": TEXTS[:3]}, "3 texts, 12 intents and 12 sentiments"),
])
def test_settings_that_make_no_sense_are_refused(change, says):
    given_ = {"texts": TEXTS, "intents": INTENTS, "sentiments": MOODS, **change}
    with pytest.raises(AssistantError, match=says):
        Assistant(resources.find_backbone(), shop=messages.load_shop("plant_nursery"), **given_)


# ---- any text at all -----------------------------------------------------------------------------------------

HOSTILE = [
    "", "   ", "\x00\x07\x1b[31m", "word " * 10_000, "😀" * 300, "漢字のテスト", "שלום עולם",
    "<script>alert(1)</script>", "$\\frac{1}{0}$", "=1+1", "'=1+1", "''", "-", "a" * 5000, "\ud800 half a character",
    "\u202eright to left", "[CLS] [SEP] [MASK]", "NaN", "line\nline\r\nline\ttab", "\ufeffbom", "I\u0301\u0301\u0301"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_get_a_sensible_answer(shared, text):
    reply = shared.reply(text)
    assert isinstance(reply.text, str) and reply.text
    if reply.intent is not None:
        assert np.isfinite(list(reply.intents.values())).all()
    else:
        assert not reply.sure
    shared.words(text)


def test_what_cannot_be_read_is_said(shared):
    assert shared.reply(" ").text == "There is nothing to read in this message."
    assert "I cannot read this message" in shared.reply("😀😀").text
    with pytest.raises(AssistantError, match="A message is a text, not int"):
        shared.reply(3)


def test_what_cannot_be_read_in_a_message_hides_nothing_of_the_rest(shared):
    assert shared.reply("Where is my order? 😀").intent is not None
    assert shared.reply("😀").text.endswith(shared.shop.say(shared.shop.tone["handover"]))
    assert clean(" a\tb\nc\x00d ") == "a\tb\ncd"
    assert clean("stop\rmy order\x0bnow\x0cplease\x85soon") == "stop my order now please soon"
    with pytest.raises(TypeError, match="A list of texts is needed"):
        shared.probabilities("where")


def test_messages_of_one_mood_make_an_assistant_too():
    made = Assistant(resources.find_backbone(), TEXTS, INTENTS, ["neutral"] * len(TEXTS),
                     messages.load_shop("plant_nursery"))
    assert made.reply("Where is my order?").sentiment == "neutral"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text())
def test_any_text_is_answered(shared, text):
    reply = shared.reply(text)
    assert reply.text
    assert (reply.intent is None) == (not reply.intents)
    assert reply.intent is None or sum(reply.intents.values()) == pytest.approx(1, abs=1e-5)
    assert clean(clean(text)) == clean(text)
    shared.words(text)


acts = st.one_of(st.tuples(st.just("learn"), st.sampled_from(["", "Strike it", "=1", "'=1", "''x", "strike IT", "😀",
                                                            "a,\"b\"\nc", "\x00"]) | st.text(max_size=8),
                           st.sampled_from(["cancel", "thanks", "order_status", "none"])),
                 st.tuples(st.just("undo"), st.none(), st.none()))


def plain(text):
    """As texts are compared: case, blanks and how accents are encoded aside."""
    return " ".join(unicodedata.normalize("NFC", text).lower().split())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(done=st.lists(acts, max_size=6))
def test_no_correction_is_lost_or_invented_whatever_is_done(shared, tmp_path_factory, done):
    """A plain list of what should be in force, kept beside the assistant; then out to CSV and back."""
    while shared.undo():
        pass
    events = []
    for act, text, intent in done:
        if act == "undo":
            taken = shared.undo()
            assert taken == (events.pop() if events else None)
            continue
        known = {plain(t): i for t, i in events}
        key = plain(clean(text))
        if not key or intent == "none":
            with pytest.raises(AssistantError):
                shared.learn([text], [intent])
        elif shared.learn([text], [intent]):
            assert known.get(key) != intent
            events.append((clean(text), intent))
        else:
            assert known[key] == intent
    expected = {plain(t): i for t, i in events}
    assert {c.key: c.intent for c in shared.corrections} == expected
    path = tmp_path_factory.mktemp("corrections") / "mine.csv"
    shared.export_corrections(path)
    kept = {c.key: (c.text, c.intent) for c in shared.corrections}
    while shared.undo():
        pass
    if kept:
        assert shared.import_corrections(path) == len(kept)
        assert {c.key: (c.text, c.intent) for c in shared.corrections} == kept
    while shared.undo():
        pass


# ---- files ---------------------------------------------------------------------------------------------------


def test_an_exported_formula_is_no_formula(assistant, tmp_path):
    hostile = ["=HYPERLINK(\"x\")", "+1 kind", "-2+3 chairs", "@SUM(1)", "'tis cancelled"]
    assistant.learn(hostile, ["cancel", "thanks", "cancel", "cancel", "cancel"])
    assistant.export_corrections(tmp_path / "c.csv")
    lines = (tmp_path / "c.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "text,intent"
    assert not any(line.lstrip('"').startswith(("=", "+", "-", "@")) for line in lines[1:])


def test_corrections_in_force_go_out_and_come_back_as_they_were(assistant, shared, tmp_path):
    while shared.undo():
        pass
    texts = ["Strike it", "=1+1 chairs", "'tis cancelled", "strike it"]
    assistant.learn(texts, ["cancel", "cancel", "thanks", "thanks"])  # the last replaces the first
    assistant.export_corrections(tmp_path / "c.csv")
    assert len((tmp_path / "c.csv").read_text(encoding="utf-8").splitlines()) == 1 + 3
    assert shared.import_corrections(tmp_path / "c.csv") == 3
    assert sorted(shared.corrections) == sorted(assistant.corrections)
    assert {c.text: c.intent for c in shared.corrections} == dict(zip(texts[1:], ["cancel", "thanks", "thanks"],
                                                                     strict=True))
    while shared.undo():
        pass


@pytest.mark.parametrize(("content", "says"), [
    ("text,intent\nStrike it,cancle\n", "row 2: unknown label 'cancle'"),
    ("text,intent\nStrike it,cancel\nstrike it,thanks\n", "row 2 and row 3: the same text is labelled"),
    ("text\nStrike it\n", "no column 'intent'"),
    ("", "the file is empty"),
])
def test_a_wrong_corrections_file_is_refused_whole(assistant, tmp_path, content, says):
    path = tmp_path / "c.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        assistant.import_corrections(path)
    assert not assistant.corrections
    with pytest.raises(DataError, match="there is no such file"):
        assistant.import_corrections(tmp_path / "none.csv")


def test_one_correction_alone_can_be_imported(assistant, tmp_path):
    (tmp_path / "c.csv").write_text("text,intent\nStrike it,cancel\n", encoding="utf-8")
    assert assistant.import_corrections(tmp_path / "c.csv") == 1


@pytest.mark.slow
def test_a_saved_assistant_gives_equal_probabilities_in_a_new_process(assistant, tmp_path):
    assistant.learn(["Strike it", "Is she off the stand?", "Strike it"], ["cancel", "order_status", "thanks"])
    assistant.save(tmp_path / "mine")
    code = ("import sys, json, torch\nfrom sft_helpers.assistant import Assistant\n"
            "a = Assistant.load(sys.argv[1]); texts = json.loads(sys.argv[2])\n"
            "print(json.dumps([part.tolist() for part in a.probabilities(texts)] + [a.corrections, a.threshold]))\n"
            "a.undo(); print(json.dumps(a.corrections))")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "mine"), json.dumps(TEXTS)], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == [*(part.tolist() for part in assistant.probabilities(TEXTS)),
                     [list(c) for c in assistant.corrections], assistant.threshold]
    assert second == [["Strike it", "cancel"], ["Is she off the stand?", "order_status"]]


def test_a_loaded_assistant_learns_what_the_saved_one_would(assistant, tmp_path):
    """The vectors and intents of the general messages come along, corrections that were there before, the settings."""
    assistant.C, assistant.weight = 0.3, 9.0
    assistant.learn(["Strike it"], ["cancel"])
    assistant.save(tmp_path)
    loaded = Assistant.load(tmp_path)
    for one in (assistant, loaded):
        one.learn(["Is she off the stand?"], ["order_status"])
    assert torch.allclose(loaded.probabilities(TEXTS)[0], assistant.probabilities(TEXTS)[0], atol=1e-5)


def test_a_loaded_assistant_can_take_back_what_was_learnt_before(assistant, tmp_path):
    assistant.learn(["Strike it"], ["cancel"])
    assistant.learn(["Strike it"], ["thanks"])
    assistant.save(tmp_path)
    loaded = Assistant.load(tmp_path)
    assert loaded.undo().intent == "thanks" and [c.intent for c in loaded.corrections] == ["cancel"]


def test_an_assistant_of_other_weights_is_refused(tmp_path):
    backbone = tiny.backbone(tmp_path / "bert")
    Assistant(backbone, TEXTS, INTENTS, MOODS, messages.load_shop("plant_nursery")).save(tmp_path / "mine")
    Assistant.load(tmp_path / "mine")
    for file in ("config.json", "model.safetensors"):
        (tmp_path / "bert" / file).unlink()
    tiny.backbone(tmp_path / "bert", d=64)
    with pytest.raises(AssistantError, match="was made with other weights"):
        Assistant.load(tmp_path / "mine")


def test_saving_again_leaves_two_files(assistant, tmp_path):
    assistant.save(tmp_path)
    assistant.learn(["Strike it"], ["cancel"])
    assistant.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert len(Assistant.load(tmp_path).corrections) == 1


def damage(folder, how):
    about = folder / "assistant.json"
    numbers = next(folder.glob("numbers-*.safetensors"))
    content = numbers.read_bytes()
    if how == "numbers cut":
        numbers.write_bytes(content[:len(content) // 2])
    elif how == "one bit":
        numbers.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    elif how == "numbers gone":
        numbers.unlink()
    elif how == "json cut":
        about.write_bytes(about.read_bytes()[:200])
    elif how == "json changed":
        about.write_text(about.read_text(encoding="utf-8").replace('"threshold": 0.6', '"threshold": 0.1'),
                         encoding="utf-8")
    elif how == "newer format":
        about.write_text(about.read_text(encoding="utf-8").replace('"format_version": 1', '"format_version": 2'),
                         encoding="utf-8")
    elif how == "foreign json":
        about.write_text('["a list"]', encoding="utf-8")
    elif how == "no json":
        about.unlink()
    elif how == "json lacks a part":
        content = json.loads(about.read_text(encoding="utf-8"))
        del content["weight"], content["sha256"]
        about.write_text(json.dumps({**content, "sha256": digest(content)}), encoding="utf-8")
    elif how == "json no text":
        about.write_bytes(b"\xff\xfe\x00")


@pytest.mark.parametrize(("how", "says"), [
    ("numbers cut", "missing or damaged"), ("one bit", "checksum is wrong"), ("numbers gone", "missing or damaged"),
    ("json cut", "damaged or of another kind"), ("json changed", "checksum is wrong"),
    ("newer format", "format version 2; this course reads 1"), ("foreign json", "damaged or of another kind"),
    ("no json", "holds no assistant.json"), ("json no text", "damaged or of another kind"),
    ("json lacks a part", "does not hold what a saved assistant holds"),
])
def test_a_damaged_folder_is_refused(shared, tmp_path, how, says):
    shared.save(tmp_path)
    damage(tmp_path, how)
    with pytest.raises(AssistantError, match=says):
        Assistant.load(tmp_path)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    for folder in (tmp_path / "none", tmp_path, ROOT / "data" / "review_classifier"):
        with pytest.raises(AssistantError, match="it is not a saved assistant"):
            Assistant.load(folder)


def test_a_folder_that_cannot_be_written_is_said_and_the_old_one_is_whole(assistant, tmp_path, monkeypatch):
    assistant.save(tmp_path / "mine")
    assistant.learn(["Strike it"], ["cancel"])

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(storage, "save_file", full)
    with pytest.raises(storage.StorageError, match="could not be written into .*No space left"):
        assistant.save(tmp_path / "mine")
    assert not Assistant.load(tmp_path / "mine").corrections
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(storage.StorageError):
        assistant.save(tmp_path / "file")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_saving_that_is_killed_leaves_an_assistant_that_loads(assistant, tmp_path):
    """A process saves in turn with 0 and 1 corrections, and is killed at random moments."""
    assistant.save(tmp_path)
    code = ("import sys\nfrom sft_helpers.assistant import Assistant\na = Assistant.load(sys.argv[1])\n"
            "print('ready', flush=True)\n"
            "while True:\n    a.learn(['Strike it'], ['cancel']); a.save(sys.argv[1]); a.undo(); a.save(sys.argv[1])\n")
    for moment in (0.05, 0.11, 0.23, 0.34):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE,
                                   env={**os.environ, "TQDM_DISABLE": "1"})
        process.stdout.readline()
        time.sleep(moment)
        process.kill()
        process.wait()
        assert len(Assistant.load(tmp_path).corrections) in (0, 1)
