"""Interactive controls of the course. They work with ipywidgets 7.7 and 8, with mouse or keyboard."""

import html
import time
import warnings

import ipywidgets
import numpy as np
from IPython.display import display

from . import plots
from .assistant import AssistantError
from .data import DataError
from .storage import StorageError

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


def neuron_knobs():
    """Show knobs for w, b and the activation function of a neuron with one input.

    Returns
    -------
    dict of str to ipywidgets.Widget
        The parts by name, for tests.
    """
    functions = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "tanh": np.tanh, "ReLU": lambda z: np.maximum(0, z)}
    wide = ipywidgets.Layout(width="340px")
    w = ipywidgets.FloatSlider(value=1.0, min=-5, max=5, step=0.1, description="w", layout=wide,
                               continuous_update=False)
    b = ipywidgets.FloatSlider(value=0.0, min=-5, max=5, step=0.1, description="b", layout=wide,
                               continuous_update=False)
    chosen = ipywidgets.Dropdown(options=list(functions), description="σ", layout=wide)
    picture = ipywidgets.Image(format="png", width=560)
    grid = np.linspace(-6, 6, 300)

    def draw(_change=None):
        figure, axis = plots.subplots(figsize=(6.5, 3.2))
        axis.plot(grid, functions[chosen.value](w.value * grid + b.value))
        if w.value and abs(b.value / w.value) <= 6:
            axis.axvline(-b.value / w.value, color=plots.GREY, linestyle="--", linewidth=1)
            axis.annotate("w·a + b = 0", (-b.value / w.value, 1.15), color=plots.GREY)
        axis.set(title=f"h = {chosen.value}({w.value:g}·a {'+' if b.value >= 0 else '−'} {abs(b.value):g})",
                 xlabel="input a", ylabel="output h", xlim=(-6, 6), ylim=(-1.3, 1.5))
        picture.value = plots.png(figure)

    for control in (w, b, chosen):
        control.observe(draw, names="value")
    draw()
    show(ipywidgets.VBox([w, b, chosen, picture]), "(Sliders for w and b appear here while the notebook runs.)")
    return {"w": w, "b": b, "activation": chosen, "picture": picture}


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
