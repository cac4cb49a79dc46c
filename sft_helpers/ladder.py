"""The ladder: what each rung scored on the test set, kept so that no stale or foreign figure is mixed in."""

import contextlib
import json
import math
import os
from pathlib import Path
from typing import NamedTuple

from . import data, evaluation, resources
from .evaluation import Interval
from .storage import digest

RUNGS = ("majority", "Word2Vec, article", "random BERT, frozen", "Word2Vec, skip-gram", "static BERT vectors", "TF-IDF",
         "frozen BERT", "top half tuned", "fully fine-tuned")
# the same whichever BERT is at hand
WITHOUT_BACKBONE = ("majority", "Word2Vec, article", "Word2Vec, skip-gram", "TF-IDF")
STUDY = Path(__file__).resolve().parent.parent / "benchmarks" / "results" / "ladder.json"
STORE = "ladder.json"  # beside the notebook, ignored by git


class Rung(NamedTuple):
    """The scores of one rung on a test set.

    Attributes
    ----------
    everything, ordinary, both_right : evaluation.Interval
        Accuracy on all test texts and on those outside contrast pairs; share of pairs with both halves right (NaN
        without pairs).
    source : str
        "here", or "study" (``benchmarks/results/ladder.json``).
    """

    everything: Interval
    ordinary: Interval
    both_right: Interval
    source: str = "here"


def score(test, predictions, source="here"):
    """Score predictions on a test split.

    Parameters
    ----------
    test : datasets.Dataset
    predictions : array-like of int, shape (n,) or (seeds, n)
        For several seeds the scores are means over them; the intervals stay those of the test texts.
    source : str

    Returns
    -------
    Rung
    """
    labels, ordinary = list(test["label"]), data.outside_pairs(test)
    return Rung(evaluation.accuracy(labels, predictions),
                evaluation.accuracy([label for label, kept in zip(labels, ordinary, strict=True) if kept],
                                    evaluation.columns(predictions, ordinary)),
                evaluation.both_right(data.pairs(test), labels, predictions), source)


def record(rung, splits, predictions, backbone, seed):
    """Score a rung's test predictions and keep the scores beside the notebook.

    Parameters
    ----------
    rung : str
        One of ``RUNGS``.
    splits : datasets.DatasetDict
    predictions : array-like of int, shape (n,)
    backbone : resources.Backbone or None
        None for a rung that has no BERT in it.
    seed : int

    Returns
    -------
    Rung

    Raises
    ------
    ValueError
        An unknown rung, or one with a BERT in it and no backbone named.
    """
    if rung not in RUNGS:
        raise ValueError(f"There is no rung {rung!r}; there are {', '.join(RUNGS)}.")
    if backbone is None and rung not in WITHOUT_BACKBONE:
        raise ValueError(f"The rung {rung!r} depends on a backbone: name it.")
    scored = score(splits["test"], predictions)
    path = _store()
    if path.exists() and not path.is_file():
        return scored  # a device such as /dev/null: nothing is kept
    kept = _read(path)
    kept[_key(rung, _checksum(splits), backbone and _weights(backbone), seed)] = [list(part) for part in scored[:3]]
    try:
        part = path.with_suffix(".new")
        part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        print(f"(The rung could not be kept in {path.name}: {error.strerror or error}.)")
    return scored


def known(splits, backbone, seed):
    """Return the rungs that were measured on this very data, backbone and seed, or in the study.

    Parameters
    ----------
    splits : datasets.DatasetDict
    backbone : resources.Backbone
    seed : int

    Returns
    -------
    dict from str to Rung
        In the order of ``RUNGS``. What no lesson measured here comes from ``benchmarks/results/ladder.json`` (several
        seeds), if that was made with the same data and backbone, and says so in ``source``.
    """
    content, weights, kept = _checksum(splits), _weights(backbone), _read(_store())
    found = {}
    for part in _read(STUDY).get("data", {}).values():
        for row in part["rungs"] if part["data_sha256"] == content else ():
            if row["rung"] in WITHOUT_BACKBONE or part["backbone_sha256"] == weights:
                pairs = [row["pairs_both_right"], *row["pairs_interval"]] if row["pairs_interval"] else [math.nan] * 3
                found[row["rung"]] = Rung(Interval(row["accuracy"], row["low"], row["high"]),
                                          Interval(*row["ordinary"]), Interval(*pairs), "study")
    for rung in RUNGS:
        with contextlib.suppress(KeyError, TypeError, ValueError):  # not measured here, or a damaged entry
            everything, ordinary, pairs = (Interval(*map(float, part))
                                           for part in kept[_key(rung, content, weights, seed)])
            found[rung] = Rung(everything, ordinary, pairs)
    return {rung: found[rung] for rung in RUNGS if rung in found}


def _store():
    return Path(os.environ.get("SFT_LADDER") or STORE).resolve()


def _read(path):
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _key(rung, content, weights, seed):
    return "|".join((rung, content, "" if rung in WITHOUT_BACKBONE else weights, str(seed)))


def _checksum(splits):
    """A checksum of texts and labels: a name alone would not notice that they have changed."""
    return digest([[split, list(splits[split]["text"]), list(splits[split]["label"])] for split in sorted(splits)])


def _weights(backbone):
    return resources.sha256(backbone.folder / "model.safetensors")
