"""Interactive controls of the course. They work with ipywidgets 7.7 and 8, with mouse or keyboard."""

import functools
import html
import time
import warnings

import ipywidgets
import numpy as np
from IPython.display import display

from . import plots
from .assistant import AssistantError
from .data import DataError
from .models import MAX_LENGTH
from .storage import StorageError
from .text import tokenize

SHOWN_INTENTS = 4  # bars below a reply
SHOWN_WORDS = 60  # of a long message


def show(widget, instead):
    """Display a control, with a sentence in its place where no kernel runs.

    Parameters
    ----------
    widget : ipywidgets.DOMWidget
    instead : str
        What a reader of the rendered page sees.
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({"application/vnd.jupyter.widget-view+json": view, "text/plain": instead}, raw=True)


def play(controls, draw, instead):
    """Show controls and, below them, what is drawn from their values, anew whenever one of them changes.

    Parameters
    ----------
    controls : dict of str to ipywidgets.Widget
    draw : callable
        Takes the controls' values under their names; returns a figure, or HTML in which all that a user typed
        is escaped.
    instead : str
        What a reader of the rendered page sees.

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests; what is drawn is ``picture``.
    """
    picture = ipywidgets.HTML()

    def redraw(_change=None):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a typed letter that the figures' font lacks
            drawn = draw(**{name: control.value for name, control in controls.items()})
            picture.value = drawn if isinstance(drawn, str) else _image(drawn)

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    show(ipywidgets.VBox([*controls.values(), picture]), instead)
    return {**controls, "picture": picture}


def _image(figure):
    """A figure as HTML, its titles as the description for those who cannot see it."""
    alt = html.escape("; ".join(filter(None, (axis.get_title("left") for axis in figure.axes))), quote=True)
    return f"<img src='data:image/png;base64,{plots.base64_png(figure)}' alt='{alt}' style='max-width:100%'>"


def _control(kind, description, **settings):
    """A control with room for its description, which speaks when it is let go, and not all along the way."""
    control = kind(description=description, layout=ipywidgets.Layout(width="440px"),
                   style={"description_width": "110px"}, **settings)
    if control.has_trait("continuous_update"):
        control.continuous_update = False
    return control


def neuron_knobs():
    """Show knobs for w, b and the activation function of a neuron with one input.

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    functions = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "tanh": np.tanh, "ReLU": lambda z: np.maximum(0, z)}
    controls = {"w": _control(ipywidgets.FloatSlider, "w", value=1.0, min=-5, max=5, step=0.1),
                "b": _control(ipywidgets.FloatSlider, "b", value=0.0, min=-5, max=5, step=0.1),
                "activation": _control(ipywidgets.Dropdown, "σ", options=list(functions))}
    grid = np.linspace(-6, 6, 300)

    def draw(w, b, activation):
        figure, axis = plots.subplots(figsize=(6.5, 3.2))
        axis.plot(grid, functions[activation](w * grid + b))
        if w and abs(b / w) <= 6:
            axis.axvline(-b / w, color=plots.GREY, linestyle="--", linewidth=1)
            axis.annotate("w·a + b = 0", (-b / w, 1.15), color=plots.GREY)
        axis.set(title=f"h = {activation}({w:g}·a {'+' if b >= 0 else '−'} {abs(b):g})",
                 xlabel="input a", ylabel="output h", xlim=(-6, 6), ylim=(-1.3, 1.5))
        return figure

    return play(controls, draw, "(Sliders for w and b appear here while the notebook runs.)")


def threshold(probabilities, labels, names):
    """Show a slider for the threshold of a two-label classifier, and what it does (``plots.threshold``).

    Parameters
    ----------
    probabilities : array, shape (n,)
        Of the second label.
    labels : array of 0 and 1, shape (n,)
    names : sequence of str
        Of the two labels.

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    controls = {"at": _control(ipywidgets.FloatSlider, "threshold", value=0.5, min=0.02, max=0.98, step=0.02)}
    return play(controls, lambda at: plots.threshold(probabilities, labels, names, at),
                "(A slider for the threshold appears here while the notebook runs.)")


def tokens(texts, tokenizer, stop_words):
    """Display what tokenizers make of a batch of texts, on a page without a kernel as well (lesson 03).

    Parameters
    ----------
    texts : list of str
    tokenizer : transformers.PreTrainedTokenizerBase
    stop_words : set of str
    """
    batch = _tokenized(texts, tokenizer, stop_words)
    plain = "\n\n".join("\n".join((f"text   {text}", f"words  {' '.join(f'({w})' if why else w for w, why in words)}",
                                    *(f"{name:6} {' '.join(map(str, row))}" for name, row in
                                      zip(("pieces", "ids", "mask"), zip(*pieces, strict=True), strict=True))))
                        for text, words, pieces in batch)
    display({"text/html": _bench(batch), "text/plain": plain}, raw=True)


def tokenizer_bench(texts, tokenizer, stop_words):
    """Show two text fields and what tokenizers make of the two as one batch, as ``tokens`` shows it.

    Parameters
    ----------
    texts : (str, str)
        What stands in the fields at first.
    tokenizer : transformers.PreTrainedTokenizerBase
    stop_words : set of str

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    controls = {name: _control(ipywidgets.Text, f"{name} text", value=text)
                for name, text in zip(("first", "second"), texts, strict=True)}
    return play(controls, lambda first, second: _bench(_tokenized([first, second], tokenizer, stop_words)),
                "(Two fields for texts appear here while the notebook runs.)")


def _tokenized(texts, tokenizer, stop_words):
    """For each text itself, its words, each with the reason why it is dropped, and its (piece, id, mask) triples."""
    batch = tokenizer(texts, padding=True, truncation=True, max_length=MAX_LENGTH)
    found = []
    for text, ids, mask in zip(texts, batch["input_ids"], batch["attention_mask"], strict=True):
        words = [(word or token, "mark" if not any(c.isalnum() for c in word) else
                  "stop word" if word in stop_words else "")
                 for token in tokenize(text) for word in [token.strip(".")]]
        found.append((text, words, list(zip(tokenizer.convert_ids_to_tokens(ids), ids, mask, strict=True))))
    return found


def _bench(batch):
    """A tokenised batch as HTML; whatever a user typed is escaped."""
    looks = {"": "", "stop word": f"text-decoration:line-through; color:{plots.RED}", "mark": f"color:{plots.GREY}"}
    blocks = []
    for text, words, pieces in batch:
        shown = " ".join(f"<span style='margin-right:8px; {looks[why]}'>{html.escape(word)}</span>"
                         for word, why in words)
        boxes = "".join(
            f"<span style='display:inline-block; text-align:center; margin:2px; padding:0 5px; border:1px solid "
            f"{plots.GREY}; {'' if real else 'opacity:0.5; border-style:dashed'}'>"
            f"<b>{html.escape(piece)}</b><br>{number}<br>{real}</span>" for piece, number, real in pieces)
        blocks.append(f"<div style='margin:0 0 14px; max-width:900px; line-height:1.4; overflow-wrap:anywhere'>"
                      f"<p style='margin:0'><b>{html.escape(text)}</b></p>"
                      f"<p style='margin:0'><i>NLTK, stop words struck out, marks in grey:</i> {shown}</p>"
                      f"<p style='margin:0'><i>WordPiece, its number, its mask:</i></p><div>{boxes}</div></div>")
    return "".join(blocks)


def race(draw, walkers, rates, steps=60):
    """Show a slider for the learning rate of each of several optimizers and one for the number of steps.

    Parameters
    ----------
    draw : callable
        ``draw(steps=…, **{walker: learning rate})`` returns the figure.
    walkers : dict of str to float
        The learning rate of each at first, one of the rates.
    rates : sequence of float
    steps : int

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    controls = {name: _control(ipywidgets.SelectionSlider, f"η, {name}", value=rate,
                               options=[(f"{choice:g}", choice) for choice in rates])
                for name, rate in walkers.items()}
    controls["steps"] = _control(ipywidgets.IntSlider, "steps", value=steps, min=1, max=2 * steps)
    return play(controls, draw, "(Sliders for the learning rates appear here while the notebook runs.)")


def neighbours(tables, groups, word):
    """Show a field for a word, a choice of table, and the word's neighbours (``plots.neighbours``).

    Parameters
    ----------
    tables : dict of str to gensim.models.KeyedVectors
    groups : dict of str to list of str
        The words of the map.
    word : str
        What stands in the field at first.

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    controls = {"word": _control(ipywidgets.Text, "word", value=word),
                "table": _control(ipywidgets.Dropdown, "table", options=list(tables))}
    return play(controls, lambda word, table: plots.neighbours(tables[table], word.strip().lower()[:40], groups),
                "(A field for a word appears here while the notebook runs.)")


def attention_heads(read, sentence, layers, heads):
    """Show a field for a sentence, sliders for layer and head, and the head's map (``plots.attention_head``).

    Parameters
    ----------
    read : callable
        Takes a sentence; returns its tokens, list of str, and the attention weights, ndarray of shape
        (layers, heads, tokens, tokens).
    sentence : str
        What stands in the field at first.
    layers, heads : int
        How many there are.

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    read = functools.lru_cache(maxsize=8)(read)  # another head of the same sentence asks for no new reading
    controls = {"sentence": _control(ipywidgets.Text, "sentence", value=sentence),
                "layer": _control(ipywidgets.IntSlider, "layer", value=0, min=0, max=layers - 1),
                "head": _control(ipywidgets.IntSlider, "head", value=0, min=0, max=heads - 1)}
    return play(controls, lambda sentence, layer, head: plots.attention_head(*read(sentence), layer, head),
                "(A field for a sentence and sliders for layer and head appear here while the notebook runs.)")


def verdicts(found, labels, names):
    """Show a choice among sets of verdicts on the same texts, and how they turn out (``plots.verdicts``).

    Parameters
    ----------
    found : dict of (str, str) to ndarray of int, shape (n,)
        For each pooling and treatment of the vectors the predicted labels.
    labels : ndarray of int, shape (n,)
    names : list of str

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    first, second = (list(dict.fromkeys(choices)) for choices in zip(*found, strict=True))
    controls = {"pooling": _control(ipywidgets.Dropdown, "pooling", options=first),
                "vectors": _control(ipywidgets.Dropdown, "vectors", options=second)}
    return play(controls, lambda pooling, vectors: plots.verdicts(found, (pooling, vectors), labels, names),
                "(A choice of pooling appears here while the notebook runs.)")


def learning_rate_dial(rows):
    """Show a slider over the learning rates of recorded runs, and what became of each (``plots.learning_rate``).

    Parameters
    ----------
    rows : list of dict
        As ``learning_rates`` in ``benchmarks/results/fine_tuning.json``.

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    rates = sorted({row["lr"] for row in rows})
    controls = {"rate": _control(ipywidgets.SelectionSlider, "learning rate",
                                 options=[(f"{rate:.0e}", rate) for rate in rates])}
    return play(controls, lambda rate: plots.learning_rate(rows, rate),
                "(A slider for the learning rate appears here while the notebook runs.)")


def conversation(assistant, messages):
    """Display what an assistant answers to messages, as ``chat`` shows it, on a page without a kernel as well.

    Parameters
    ----------
    assistant : assistant.Assistant
    messages : list of str
    """
    turns = [(message, assistant.reply(message), assistant.words(message)) for message in messages]
    plain = "\n\n".join(f"customer   {message}\nassistant  {reply.text}\n           ({_verdict(reply)})"
                        for message, reply, _ in turns)
    display({"text/html": "".join(_turn(*turn) for turn in turns), "text/plain": plain}, raw=True)


def chat(assistant):
    """Show a chat with the assistant, in which its owner can correct it.

    Parameters
    ----------
    assistant : assistant.Assistant
        Learns what is corrected.

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    # A text that is passed on with every key can be overtaken by the key that sends it; this one is passed on whole.
    message = ipywidgets.Text(placeholder="Type a message to the shop", continuous_update=False,
                              layout=ipywidgets.Layout(width="440px"))
    right = ipywidgets.Dropdown(options=assistant.intents, description="It was:")
    path = ipywidgets.Text(value="corrections.csv", description="file:", continuous_update=False)
    log, status = ipywidgets.HTML(), ipywidgets.HTML()
    send, wrong, learn, undo, export, load = (
        ipywidgets.Button(description=label, tooltip=tip) for label, tip in
        (("Send", "Send the message"), ("That was wrong", "Choose the right intent for the last message"),
         ("Learn", "Learn the right intent of the last message"), ("Undo", "Take the last correction back"),
         ("Export", "Write the corrections to the file"), ("Import", "Learn the corrections in the file")))
    choice = ipywidgets.HBox([right, learn], layout=ipywidgets.Layout(display="none"))
    turns = []  # what was said; an answer that a correction changed stands below the old one

    def say(text):
        status.value = f"<p role='status'>{html.escape(text)}</p>"

    def answer(text, note=""):
        turns.append(_turn(text, assistant.reply(text), assistant.words(text), note))
        log.value = "".join(turns)

    def guarded(act):
        def handler(_change=None):
            try:
                act()
            except (AssistantError, DataError, StorageError) as error:
                say(str(error))
        return handler

    def on_enter():
        if said["enter"]:
            on_send()  # pressed once more: the text is the one that was there before
        else:
            said["enter"] = True  # the text itself comes right after

    def on_text():
        if said["enter"] and message.value:
            on_send()

    def on_send():
        text, said["last"], said["enter"] = message.value, message.value, False
        message.value, choice.layout.display = "", "none"
        answer(text)
        say("")

    def on_wrong():
        if not said["last"].strip():
            raise AssistantError("Send a message first; then its intent can be corrected.")
        reply = assistant.reply(said["last"])
        right.value = reply.intent or assistant.intents[0]
        choice.layout.display = "flex"
        say("Choose what the message was, then press Learn.")

    def on_learn():
        began = time.perf_counter()
        new = assistant.learn([said["last"]], [right.value])
        seconds = time.perf_counter() - began
        choice.layout.display = "none"
        if new:
            answer(said["last"], "after the correction: ")
        say(f"Learnt in {seconds:.1f} s; {_count(assistant)}." if new else f"Known already; {_count(assistant)}.")

    def on_undo():
        taken = assistant.undo()
        if taken:
            answer(taken.text, "correction taken back: ")
        say(f"Taken back; {_count(assistant)}." if taken else "There is no correction to take back.")

    def on_export():
        assistant.export_corrections(path.value)
        say(f"Written to {path.value}: {_count(assistant)}.")

    def on_import():
        new = assistant.import_corrections(path.value)
        say(f"{new} new from {path.value}; {_count(assistant)}.")

    said = {"last": "", "enter": False}
    for button, act in ((send, on_send), (wrong, on_wrong), (learn, on_learn), (undo, on_undo), (export, on_export),
                        (load, on_import)):
        button.on_click(guarded(act))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # ipywidgets 7 knows no other way to notice Enter
        message.on_submit(guarded(on_enter))
    message.observe(guarded(on_text), names="value")
    show(ipywidgets.VBox([log, ipywidgets.HBox([message, send]), ipywidgets.HBox([wrong, undo]), choice,
                          ipywidgets.HBox([path, export, load]), status]),
         "(The chat appears here while the notebook runs.)")
    return {"message": message, "send": send, "wrong": wrong, "intent": right, "learn": learn, "undo": undo,
            "path": path, "export": export, "import": load, "log": log, "status": status, "choice": choice}


def _count(assistant):
    number = len(assistant.corrections)
    return f"{number} correction{'' if number == 1 else 's'} in force"


def _verdict(reply):
    if reply.intent is None:
        return "nothing to go by"
    probability = reply.intents[reply.intent]
    return f"{reply.intent}, {probability:.0%}, {reply.sentiment}" + ("" if reply.sure else "; not sure")


def _turn(message, reply, words, note=""):
    """A message and its answer as HTML; whatever a user typed is escaped."""
    bars = "".join(
        f"<tr><td style='text-align:left; padding:0 8px 0 0'>{html.escape(intent)}</td><td style='padding:0'>"
        f"<div style='background:{plots.BLUE}; height:9px; width:{max(1, round(150 * p))}px'></div></td>"
        f"<td style='padding:0 0 0 8px'>{p:.0%}</td></tr>"
        for intent, p in list(reply.intents.items())[:SHOWN_INTENTS])
    rest = message.split()[len(words):]
    shown = f"{_marked(words)} {html.escape(' '.join(rest[:SHOWN_WORDS - len(words)]))}"
    if len(words) + len(rest) > SHOWN_WORDS:
        shown += f" … ({len(words) + len(rest) - SHOWN_WORDS:,} more words)"
    return (f"<div style='margin:0 0 14px; max-width:640px; line-height:1.4; overflow-wrap:anywhere'>"
            f"<p style='margin:0'><b>customer</b> {shown}</p>"
            f"<p style='margin:2px 0 4px'><b>assistant</b> {html.escape(reply.text)}</p>"
            f"<p style='margin:0'>{html.escape(note)}<i>{html.escape(_verdict(reply))}</i></p>"
            f"<table style='border:0; margin:2px 0; font-size:90%'>{bars}</table></div>")


def _marked(words):
    """The words, each underlined by how much it speaks for the answer (solid) or against it (dotted)."""
    most = max((abs(push) for _, push in words), default=0) or 1
    marked = []
    for word, push in words:
        width, line = round(4 * abs(push) / most), "solid" if push > 0 else "dotted"
        colour = plots.BLUE if push > 0 else plots.ORANGE
        style = f" style='border-bottom:{width}px {line} {colour}'" if width else ""
        marked.append(f"<span{style}>{html.escape(word)}</span>")
    return " ".join(marked)
