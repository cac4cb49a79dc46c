"""The controls without a browser: what pressing and typing does, and that nothing a user types becomes HTML."""

import html
import re

import pytest

from sft_helpers import widgets
from tests.test_assistant import make

MINE = "Is she off the stand?"


@pytest.fixture
def chat(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assistant = make()
    return assistant, widgets.chat(assistant)


def shown(parts):
    """The log as text."""
    return html.unescape(re.sub(r"<[^>]+>", "", parts["log"].value))


def send(parts, text):
    parts["message"].value = text
    parts["send"].click()


def correct(parts, intent):
    parts["wrong"].click()
    parts["intent"].value = intent
    parts["learn"].click()


def test_a_message_is_answered_and_a_correction_changes_the_answer(chat):
    assistant, parts = chat
    assert parts["choice"].layout.display == "none"
    send(parts, MINE)
    assert parts["message"].value == ""
    before = assistant.reply(MINE)
    assert before.intent in parts["log"].value and parts["log"].value.count("<b>customer</b>") == 1
    parts["wrong"].click()
    assert parts["choice"].layout.display == "flex" and parts["intent"].value == before.intent
    other = next(intent for intent in assistant.intents if intent != before.intent)
    parts["intent"].value = other
    parts["learn"].click()
    assert assistant.reply(MINE).intent == other
    assert "after the correction" in parts["log"].value and "1 correction in force" in parts["status"].value
    parts["undo"].click()
    assert assistant.reply(MINE).intents == before.intents
    assert "correction taken back" in parts["log"].value and "0 corrections in force" in parts["status"].value
    parts["undo"].click()
    assert "no correction to take back" in parts["status"].value


def test_enter_sends_the_text_that_comes_right_after_it(chat):
    _assistant, parts = chat
    message = parts["message"]
    message.value = "left in the field"
    assert "left in the field" not in shown(parts)  # moving on to another field sends nothing
    message._submission_callbacks(message)
    message.value = MINE
    assert MINE in shown(parts) and "left in the field" not in shown(parts)
    message.value = "typed earlier"
    message._submission_callbacks(message)
    message._submission_callbacks(message)
    assert "typed earlier" in shown(parts) and parts["log"].value.count("<b>customer</b>") == 2


def test_corrections_go_out_and_come_in(chat):
    assistant, parts = chat
    send(parts, MINE)
    correct(parts, "order_status")
    correct(parts, "order_status")
    assert "Known already" in parts["status"].value
    parts["export"].click()
    parts["undo"].click()
    assert not assistant.corrections
    parts["import"].click()
    assert assistant.corrections == [(MINE, "order_status")]
    assert "1 new from corrections.csv" in parts["status"].value


@pytest.mark.parametrize(("path", "says"), [("none.csv", "there is no such file"), ("", "is a folder")])
def test_a_wrong_file_is_said_in_the_chat(chat, path, says):
    _assistant, parts = chat
    parts["path"].value = path
    parts["import"].click()
    assert says in parts["status"].value


def test_a_file_that_cannot_be_written_is_said_in_the_chat(chat):
    _assistant, parts = chat
    parts["path"].value = "/proc/none/c.csv"
    parts["export"].click()
    assert "could not be written" in parts["status"].value


def test_wrong_before_any_message_is_answered_with_a_sentence(chat):
    _assistant, parts = chat
    for button in ("wrong", "learn"):
        parts[button].click()
        assert parts["status"].value.count("<p") == 1
    assert "Send a message first" in parts["status"].value or "cannot be corrected" in parts["status"].value


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", "</span><script>alert(1)</script>", "&lt;b&gt; \"'>",
                                  "", "word " * 10_000, "😀", "\x00<b>"])
def test_what_a_user_types_never_becomes_html(chat, text):
    _assistant, parts = chat
    send(parts, text)
    parts["path"].value = "<b>.csv"
    parts["import"].click()
    for part in ("log", "status"):
        tags = set(re.findall(r"<\s*/?([a-zA-Z!]+)", parts[part].value))
        assert tags <= {"div", "p", "b", "i", "span", "table", "tr", "td"}
        assert "<b>.csv" not in parts[part].value and "onerror=alert(1)>" not in parts[part].value
    assert len(parts["log"].value) < 20_000


def test_what_a_shop_writes_never_becomes_html(chat):
    assistant, parts = chat
    assistant.shop.tone.update(dict.fromkeys(assistant.shop.tone, "Dear <img src=x> friend,"))
    send(parts, MINE)
    assert "<img" not in parts["log"].value and "Dear &lt;img src=x&gt; friend," in parts["log"].value


def test_words_of_a_long_message_that_are_not_weighed_never_become_html(chat):
    assistant, parts = chat
    text = "word " * 50 + "<img src=x>"
    assert len(assistant.words(text)) <= 50  # the last one is shown, and stands outside those that are weighed
    send(parts, text)
    assert "<img" not in parts["log"].value and "&lt;img" in parts["log"].value


def test_the_likeliest_intents_stand_below_an_answer_with_bars_as_long_as_they_are_likely(chat):
    assistant, parts = chat
    send(parts, MINE)
    bars = re.findall(r">(\w+)</td>.*?width:(\d+)px.*?>(\d+%)</td>", parts["log"].value)
    expected = list(assistant.reply(MINE).intents.items())[:widgets.SHOWN_INTENTS]
    assert [(intent, share) for intent, _, share in bars] == [(intent, f"{p:.0%}") for intent, p in expected]
    for (_, width, _), (_, p) in zip(bars, expected, strict=True):
        assert int(width) == max(1, round(150 * p))


def test_a_long_message_says_how_much_is_not_shown(chat):
    _assistant, parts = chat
    send(parts, "word " * 100)
    assert "(40 more words)" in parts["log"].value


def test_the_static_conversation_shows_what_the_chat_shows(chat, monkeypatch):
    assistant, parts = chat
    send(parts, MINE)
    shown = []
    monkeypatch.setattr(widgets, "display", lambda data, **_: shown.append(data))
    widgets.conversation(assistant, [MINE])
    assert shown[0]["text/html"] == parts["log"].value
    assert assistant.reply(MINE).text in shown[0]["text/plain"]


def test_the_neurons_knobs_move_its_picture():
    parts = widgets.neuron_knobs()
    before = parts["picture"].value
    parts["w"].value = -2.0
    assert parts["picture"].value != before
