"""Interactive controls of the course. They work with ipywidgets 7.7 and 8, with mouse or keyboard."""

import ipywidgets
import numpy as np
from IPython.display import display

from . import plots


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
