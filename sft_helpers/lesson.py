"""The first cell of every notebook: find what the lesson needs and say what it runs on."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from . import claims, environment, resources
from . import data as labelled_texts

# Notebooks are read: a library's notes to its developers do not belong in them.
warnings.filterwarnings("ignore", category=DeprecationWarning)
warnings.filterwarnings("ignore", category=FutureWarning)

DEFAULT_DATA = "reviews"


@dataclass(frozen=True)
class Lesson:
    """What a lesson runs with after missing resources were replaced.

    Attributes
    ----------
    backbone : resources.Backbone or None
    data : str or None
        Name to give to ``data.load``.
    """

    backbone: resources.Backbone | None
    data: str | None


def start(backbone=None, data=None, seed=0, threads=None, labels=None, changed=False):
    """Find backbone and data, seed the random numbers, print the set-up summary.

    Parameters
    ----------
    backbone : str, optional
        As in ``resources.find_backbone``; None where the lesson needs none.
    data : str, optional
        As in ``data.load``; None where the lesson needs none.
    seed : int
    labels : int, optional
        How many labels the lesson's data must have.
    changed : bool
        A parameter that only this lesson has is not at its default: claims do not bind.
    threads : int, optional
        How many threads torch may use on the CPU. Tiny networks run faster in one.

    Returns
    -------
    Lesson

    Raises
    ------
    ResourceError, DataError
        Something asked for cannot be had. Only when the hub does not answer does an interactive lesson go on,
        with the shipped default, and say so; under ``make run`` (``SFT_STRICT=1``) it stops as well.
    """
    environment.seed_everything(seed)
    environment.one_blas_thread()
    if threads:
        torch.set_num_threads(threads)
    print(f"device    {environment.device_label()}")
    versions = [f"{name} {version}" for name, version in environment.versions().items()]
    print("versions  " + ", ".join(versions[:4]) + ",\n          " + ", ".join(versions[4:]))
    _, found = _or_default(backbone, resources.EMBEDDED, resources.find_backbone)
    if found:
        print(f"backbone  {found.name} ({found.source})")
    found_data, splits = _or_default(data, DEFAULT_DATA, labelled_texts.load)
    if found_data:
        names = splits["train"].features["label"].names
        if labels and len(names) != labels:
            raise labelled_texts.DataError(f"This lesson needs data with {labels} labels; '{found_data}' has "
                                           f"{len(names)}.")
        print(f"data      {found_data} (labels {', '.join(names)})")
    # Claims were written for the default; a reader who changed the parameters, or trains on a GPU in another precision,
    # gets "held" or "not held".
    claims.bind(backbone in (None, resources.EMBEDDED) and data in (None, DEFAULT_DATA) and seed == 0 and not changed
                and environment.device().type == "cpu")
    return Lesson(found, found_data)


def _or_default(name, default, find):
    """Return the name that is used in the end and what was found under it."""
    if name is None:
        return None, None
    try:
        return name, find(name)
    except resources.HubUnreachableError as error:
        if not environment.substitutes_allowed():
            raise
        print(f"{error} Going on with '{default}'.")
        return default, find(default)


def course_map():
    """Return the lessons that are there, from the notebooks' own metadata.

    Returns
    -------
    list of (str, str, int)
        Number, title and minutes, in order.
    """
    lessons = []
    for path in sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        about = json.loads(path.read_text(encoding="utf-8"))["metadata"]["course"]
        lessons.append((about["lesson"], about["title"], about["minutes"]))
    return lessons
