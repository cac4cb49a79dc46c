"""The controls without a browser: what pressing and typing does, and that nothing a user types becomes HTML."""

import html
import re

import numpy as np
import pytest
from gensim.models import KeyedVectors
from matplotlib.colors import to_hex
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from sft_helpers import models, plots, resources, widgets
from sft_helpers.text import preprocess_text
from tests.test_assistant import fresh

MINE = "Is she off the stand?"


@pytest.fixture
def chat(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assistant = fresh()
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
    assert assistant.reply(MINE).intent == other and parts["choice"].layout.display == "none"
    assert "after the correction" in parts["log"].value and "1 correction in force" in parts["status"].value
    parts["undo"].click()
    assert assistant.reply(MINE).intents == before.intents
    assert "correction taken back" in parts["log"].value and "0 corrections in force" in parts["status"].value
    parts["undo"].click()
    assert "no correction to take back" in parts["status"].value


def test_what_is_taken_back_is_the_last_correction_whatever_was_said_since(chat):
    _assistant, parts = chat
    send(parts, MINE)
    correct(parts, "thanks")
    assert shown(parts).count(MINE) == 2
    send(parts, "Lovely cake!")
    parts["undo"].click()
    assert shown(parts).count(MINE) == 3 and shown(parts).count("Lovely cake!") == 1


def test_an_unsure_answer_says_so(chat):
    assistant, parts = chat
    for threshold, told in ((0.0, False), (1.0, True)):
        assistant.threshold = threshold
        send(parts, MINE)
        assert shown(parts).rpartition("customer")[2].count("; not sure") == told


def test_a_page_without_a_kernel_says_what_would_stand_there(monkeypatch):
    shown = []
    monkeypatch.setattr(widgets, "display", lambda data, **_: shown.append(data))
    widgets.neuron_knobs()
    assert shown[0]["text/plain"] == "(Sliders for w and b appear here while the notebook runs.)"


def test_an_empty_message_gives_nothing_to_go_by(chat):
    _assistant, parts = chat
    send(parts, "")
    assert shown(parts).endswith("nothing to go by")


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


def test_words_are_underlined_by_how_much_they_speak_for_or_against():
    shown = widgets._marked([("yes", 2.0), ("no", -1.0), ("so", 0.0)])
    assert re.findall(r"(\d)px (\w+) (#\w+)'>(\w+)<", shown) == [("4", "solid", plots.BLUE, "yes"),
                                                                 ("2", "dotted", plots.ORANGE, "no")]
    assert shown.endswith("<span>so</span>")


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


@pytest.mark.parametrize(("activation", "function"), [("sigmoid", lambda z: 1 / (1 + np.exp(-z))), ("tanh", np.tanh),
                                                      ("ReLU", lambda z: np.where(z > 0, z, 0))])
def test_the_neuron_is_drawn_as_it_computes_and_its_turning_point_is_marked(monkeypatch, activation, function):
    figures = []
    monkeypatch.setattr(widgets, "_image", lambda figure: figures.append(figure) or "")
    parts = widgets.neuron_knobs()
    parts["w"].value, parts["b"].value, parts["activation"].value = 2.0, -3.0, activation
    curve, mark = figures[-1].axes[0].lines
    assert np.allclose(curve.get_ydata(), function(2 * curve.get_xdata() - 3))
    assert mark.get_xdata() == [1.5, 1.5] and figures[-1].axes[0].texts[0].xy == (1.5, 1.15)


def described(parts):
    """What the picture says to those who cannot see it."""
    return html.unescape(re.search(r" alt='([^']*)'", parts["picture"].value).group(1))


def test_a_control_is_heard_when_it_is_let_go_and_the_picture_is_described():
    parts = widgets.neuron_knobs()
    assert parts["w"].continuous_update is False
    parts["w"].value, parts["b"].value, parts["activation"].value = 2.0, -3.0, "tanh"
    assert described(parts) == "h = tanh(2·a − 3)"


def test_a_neuron_that_weighs_nothing_is_drawn_too():
    parts = widgets.neuron_knobs()
    parts["w"].value = 0.0
    assert described(parts) == "h = sigmoid(0·a + 0)"


def test_the_threshold_decides_who_is_taken_for_the_second_label():
    probabilities, labels = np.array([0.1, 0.4, 0.6, 0.6, 0.9]), np.array([0, 1, 0, 1, 1])
    parts = widgets.threshold(probabilities, labels, ["bad", "good"])
    assert described(parts) == "60.0 % right at 0.50; Precision 67 %, recall 67 %"
    parts["at"].value = 0.6  # from the threshold on, the threshold included
    assert described(parts) == "60.0 % right at 0.60; Precision 67 %, recall 67 %"
    parts["at"].value = 0.62
    assert described(parts) == "60.0 % right at 0.62; Precision 100 %, recall 33 %"
    parts["at"].value = 0.98
    assert described(parts) == "40.0 % right at 0.98; Precision undefined, recall 0 %"


def test_the_threshold_draws_counts_and_curves_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    probabilities = np.clip(0.3 * labels + rng.uniform(0, 0.7, 200), 0, 1)
    left, right = plots.threshold(probabilities, labels, ["bad", "good"], at=0.3).axes
    said = probabilities >= 0.3
    assert [int(text.get_text()) for text in left.texts] == confusion_matrix(labels, said).ravel().tolist()
    curves = {line.get_label(): line.get_ydata()[29] for line in right.lines[:3]}  # the grid's 30th place is 0.3
    assert curves == pytest.approx({"precision": 100 * precision_score(labels, said),
                                    "recall": 100 * recall_score(labels, said),
                                    "accuracy": 100 * np.mean(said == labels)})


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer(resources.find_backbone())


STOP_WORDS = {"the", "was", "not"}


def bench_of(parts):
    """What the tokenizer's bench shows: for each text its words as (look, word), and its (piece, id, mask)."""
    found = []
    for block in parts["picture"].value.split("<div style='margin:0 0 14px")[1:]:
        words = re.findall(r"margin-right:8px; ([^']*)'>([^<]*)<", block)
        pieces = re.findall(r"<b>([^<]*)</b><br>(\d+)<br>(\d)</span>", block)
        found.append(([(look, html.unescape(word)) for look, word in words],
                      [(html.unescape(piece), i, mask) for piece, i, mask in pieces]))
    return found


def test_the_bench_shows_words_pieces_numbers_and_mask_of_a_batch(tokenizer):
    parts = widgets.tokenizer_bench(("Cold soup.", "The soup wasn't cold at all!"), tokenizer, STOP_WORDS)
    parts["first"].value = "The tea was definately not late ..."
    typed = [parts["first"].value, parts["second"].value]
    batch = tokenizer(typed, padding=True)
    for text, ids, mask, (words, pieces) in zip(typed, batch["input_ids"], batch["attention_mask"], bench_of(parts),
                                                strict=True):
        assert [word for look, word in words if not look] == preprocess_text(text, STOP_WORDS)
        assert {word for look, word in words if "line-through" in look} <= STOP_WORDS
        assert pieces == [(piece, str(i), str(m)) for piece, i, m in
                          zip(tokenizer.convert_ids_to_tokens(ids), ids, mask, strict=True)]
    boxes = re.findall(r"inline-block;([^']*)'><b>[^<]*</b><br>\d+<br>(\d)", parts["picture"].value)
    assert {("opacity" in look, mask) for look, mask in boxes} == {(False, "1"), (True, "0")}  # padding is faint
    assert "line-through" in parts["picture"].value and "0" in {mask for _, _, mask in bench_of(parts)[1][1]}


def test_the_bench_cuts_a_text_where_the_models_do(tokenizer):
    parts = widgets.tokenizer_bench(("Cold soup.", "word " * 2000), tokenizer, STOP_WORDS)
    assert [len(pieces) for _, pieces in bench_of(parts)] == [models.MAX_LENGTH] * 2


def test_the_static_bench_shows_what_the_live_one_shows(tokenizer, monkeypatch):
    texts = ("Cold soup.", "The soup was cold.")
    parts, shown = widgets.tokenizer_bench(texts, tokenizer, STOP_WORDS), []
    monkeypatch.setattr(widgets, "display", lambda data, **_: shown.append(data))
    widgets.tokens(texts, tokenizer, STOP_WORDS)
    assert shown[0]["text/html"] == parts["picture"].value
    assert "words  (the) soup (was) cold (.)" in shown[0]["text/plain"]
    assert "mask   1 1 1 1 1 0 0" in shown[0]["text/plain"]


HOSTILE = ["<img src=x onerror=alert(1)>", "' onerror='alert(1)", "</b><script>alert(1)</script>", "$\\frac{", "$$", "",
           "  ", "word " * 2000, "😀 不", "\x00"]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_bench_takes_whatever_is_typed(tokenizer, text):
    parts = widgets.tokenizer_bench(("Cold soup.", "Hot soup."), tokenizer, STOP_WORDS)
    before = parts["picture"].value
    parts["second"].value = text
    assert parts["picture"].value != before
    assert set(re.findall(r"<\s*/?([a-zA-Z!]+)", parts["picture"].value)) <= {"div", "p", "b", "i", "span", "br"}


@pytest.fixture
def vectors():
    words = {"good": (1, 0, 0), "bad": (0.9, 0.3, 0), "soup": (0, 1, 0), "bread": (0.1, 1, 0.1), "he": (0, 0, 1)}
    table = KeyedVectors(3)
    table.add_vectors(list(words), np.array(list(words.values()), dtype=np.float32))
    return table


def test_neighbours_come_from_the_chosen_table_nearest_first(vectors):
    other = KeyedVectors(3)
    other.add_vectors(["good", "awful", "he"], np.array([(1, 0, 0), (1, 0, 0.1), (0, 1, 0)], dtype=np.float32))
    groups = {"verdict": ["good", "bad", "missing"], "food": ["soup", "bread"]}
    parts = widgets.neighbours({"one": vectors, "two": other}, groups, "soup")
    assert "“soup” lives “bread”" in described(parts)
    parts["word"].value = "  GOOD "
    assert "“good” lives “bad”" in described(parts)
    parts["table"].value = "two"  # knows fewer than three words of the map
    assert "“good” lives “awful”" in described(parts)
    left, right = plots.neighbours(vectors, "good", groups).axes
    drawn = zip([label.get_text() for label in left.get_yticklabels()], left.patches, strict=True)
    assert {name: bar.get_width() for name, bar in drawn} == pytest.approx(dict(vectors.most_similar("good", topn=8)))
    places = {text.get_text(): text.xy for text in right.texts}
    assert places.keys() == {"good", "bad", "soup", "bread"}
    star, colours = right.collections[-1], [to_hex(mark.get_facecolor()[0]) for mark in right.collections]
    assert np.allclose(star.get_offsets()[0], places["good"])
    assert colours == [plots.GREY.lower()] * 4 + [plots.BLUE.lower()] * 4 + [plots.RED.lower()]


@pytest.mark.parametrize("word", HOSTILE)
def test_a_word_that_the_table_lacks_is_answered_with_a_sentence(vectors, word):
    parts = widgets.neighbours({"one": vectors}, {"food": ["soup", "bread", "he"]}, "soup")
    parts["word"].value = word
    assert described(parts) == f"“{word.strip().lower()[:40]}” is not in this table"
    assert parts["picture"].value.count("<") == 1 and "'x'" not in parts["picture"].value


def test_the_race_walks_with_the_rates_and_steps_of_its_sliders():
    asked = []

    def draw(steps, **rates):
        asked.append((steps, rates))
        ways = {name: np.outer((1 - rate) ** np.arange(steps + 1), (-9.0, 2.0)) for name, rate in rates.items()}
        return plots.race(ways, lambda a, b: a**2 + b**2)

    parts = widgets.race(draw, {"one": 0.1, "two": 0.1}, (0.1, 0.5, 4.0), steps=10)
    parts["two"].value, parts["steps"].value = 0.5, 20
    assert asked[-1] == (20, {"one": 0.1, "two": 0.5})
    assert described(parts) == "After 20 steps nearest: two"
    parts["two"].value, parts["steps"].value = 4.0, 20  # leaves for infinity
    assert described(parts) == "After 20 steps nearest: one"


def test_the_lines_of_a_race_join_places_of_equal_loss():
    axis = plots.race({"one": np.zeros((3, 2))}, lambda a, b: a + 10 * b, levels=(5,)).axes[0]
    a, b = axis.collections[0].get_paths()[0].vertices.T
    assert np.allclose(a + 10 * b, 5)


def test_a_racer_that_leaves_the_frame_is_not_followed_and_its_end_is_told():
    ways = {"near": np.array([(-9, 2), (-1, 0), (3, 4)]), "lost": np.array([(-9, 2), (-9, 40), (np.nan, np.inf)])}
    axis = plots.race(ways, lambda a, b: a**2 + b**2).axes[0]
    assert [label.get_text() for label in axis.get_legend().get_texts()] == ["near: ends 5.00 away",
                                                                           "lost: ends very far away"]
    lines = {line.get_label().split(":")[0]: line.get_xydata() for line in axis.lines[1:]}
    assert lines["near"].tolist() == ways["near"].tolist() and len(lines["lost"]) == 2


def test_heads_are_shown_as_they_are_and_a_sentence_is_read_once():
    before, even = np.eye(3, k=-1) + np.diag([1.0, 0, 0]), np.full((3, 3), 1 / 3)
    sink = np.tile([0.8, 0.1, 0.1], (3, 1))
    asked = []

    def read(sentence):
        asked.append(sentence)
        return ["[CLS]", *sentence.split()], np.array([[before, even], [sink, before.T]])

    parts = widgets.attention_heads(read, "good soup", layers=2, heads=2)
    assert described(parts) == "Layer 0, head 0: 100 % goes to the token before"
    parts["layer"].value = 1
    assert described(parts) == "Layer 1, head 0: 80 % goes to [CLS]"
    parts["head"].value = 1
    assert described(parts) == "Layer 1, head 1: 100 % goes to the token after"
    assert asked == ["good soup"] and (parts["layer"].max, parts["head"].max) == (1, 1)
    parts["sentence"].value = "bad $\\x{"
    assert asked[1:] == ["bad $\\x{"]
    axis = plots.attention_head(*read("good soup"), 1, 0).axes[0]
    assert axis.images[0].get_array().tolist() == sink.tolist()
    for labels in (axis.get_yticklabels(), axis.get_xticklabels()):
        assert [label.get_text() for label in labels] == ["[CLS]", "good", "soup"]
    assert axis.images[0].norm.vmin == 0  # white is none, not the least


def test_the_chosen_verdicts_are_drawn_as_scikit_learn_counts_them():
    labels = np.array([0, 0, 1, 1])
    found = {("mean", "as it is"): np.array([0, 1, 1, 1]), ("mean", "standardised"): labels,
             ("cls", "as it is"): np.array([1, 1, 1, 1]), ("cls", "standardised"): np.array([0, 0, 0, 1])}
    parts = widgets.verdicts(found, labels, ["bad", "good"])
    assert described(parts) == "mean, as it is: 75.0 % right; 3 times “good”"
    parts["pooling"].value = "cls"
    assert described(parts) == "cls, as it is: 50.0 % right; 4 times “good”"
    parts["vectors"].value = "standardised"
    assert described(parts) == "cls, standardised: 75.0 % right; 3 times “bad”"
    left, right = plots.verdicts(found, ("mean", "as it is"), labels, ["bad", "good"]).axes
    assert [int(text.get_text()) for text in right.texts] == \
        confusion_matrix(labels, found["mean", "as it is"]).ravel().tolist()
    names = [label.get_text() for label in left.get_yticklabels()]
    assert dict(zip(names, (bar.get_width() for bar in left.patches), strict=True)) == {
        ", ".join(key): 100 * np.mean(found[key] == labels) for key in found}
    assert names == [", ".join(key) for key in found][::-1]  # from below
    assert [to_hex(bar.get_facecolor()) == plots.BLUE.lower() for bar in left.patches] == [False, False, False, True]


def test_the_dial_goes_through_the_recorded_rates_and_lifts_one_out():
    rows = [{"lr": lr, "train_loss": [0.7, loss], "loss": [0.7, loss + 0.1], "accuracy": [0.5, 0.9 - loss]}
            for lr, loss in ((1e-4, 0.2), (2e-5, 0.4), (1e-4, 0.1))]
    parts = widgets.learning_rate_dial(rows)
    assert described(parts) == "Rate 2e-05: training loss 0.40; 50.0 % right (grey: other rates)"
    parts["rate"].value = 1e-4  # two runs: their mean
    assert described(parts) == "Rate 1e-04: training loss 0.15; 75.0 % right (grey: other rates)"
    left, right = plots.learning_rate(rows, 1e-4).axes
    lines = {line.get_label(): line for line in left.lines[-2:]}
    assert lines["training"].get_ydata() == pytest.approx([0.7, 0.15])
    assert lines["validation"].get_ydata() == pytest.approx([0.7, 0.25])
    assert right.lines[-1].get_ydata() == pytest.approx([50, 75])
    assert [entry.get_color() for entry in left.get_legend().get_lines()] == [plots.BLUE, plots.RED]
