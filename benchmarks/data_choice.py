"""The study behind lesson 12: would other data teach the contrast pairs?

    python -m benchmarks.data_choice [--seeds 3]

Training sets of equal size and balance that differ only in how many of their texts are halves of contrast pairs. A
third of the train split's pairs, another one for each seed, is left out of all of them and measured, beside the
validation reviews; the test set is not touched. Finished runs are kept in _build/runs, so that an interrupted study
goes on.
"""

import argparse
from functools import partial

import numpy as np
import torch

from sft_helpers import data, features, models, resources, training
from sft_helpers.storage import digest

from . import common

RESULT = "data_choice.json"
COMMON, CHANGED = 400, 240  # ordinary reviews that are in every set, and texts that are chosen
# how the CHANGED texts are chosen: whole contrast pairs, halves without their partner, ordinary reviews for the rest
SETS = {"no pairs": (0, 0), "60 pairs": (60, 0), "120 pairs": (120, 0), "120 halves": (0, 120)}
WAYS = {"frozen, probe": None,  # and the settings of full fine-tuning
        "all tuned, 4 epochs": {"epochs": 4, "lr": 1e-4, "head_lr": 1e-3},
        "all tuned, 12 epochs": {"epochs": 12, "lr": 1e-4, "head_lr": 1e-3}}
FEWER = {"all tuned, 12 epochs": ("no pairs", "120 pairs", "120 halves")}  # long runs


def held_out(train, seed):
    """Return the train split's pairs that this seed trains with, and those that it measures (a third)."""
    pairs = data.pairs(train)
    pairs = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]
    third = len(pairs) // 3
    start = seed % 3 * third
    return pairs[:start] + pairs[start + third:], pairs[start:start + third]


def training_rows(train, name, seed):
    """Return the row numbers of a training set.

    Parameters
    ----------
    train : datasets.Dataset
    name : str
        One of ``SETS``.
    seed : int

    Returns
    -------
    list of int
        ``COMMON + CHANGED`` of them, as many positive as negative ones; equal seeds share what they can.
    """
    whole, alone = SETS[name]
    known, _measured = held_out(train, seed)
    halves = [row for pair in known[:whole] for row in pair]
    halves += [pair[i % 2] for i, pair in enumerate(known[:alone])]  # positive, negative, positive …
    random, labels, ordinary = np.random.default_rng(seed), np.array(train["label"]), []
    for label in (0, 1):
        rows = random.permutation(np.flatnonzero(data.outside_pairs(train) & (labels == label)))
        ordinary += rows[:(COMMON + CHANGED - len(halves)) // 2].tolist()
    return sorted(halves + ordinary)


def measure(model, reviews, seed):
    """Return what a model gets right, a digit for each ordinary validation review and each pair.

    Returns
    -------
    dict from str to str
        ``ordinary``: 1 for right, 0 for wrong. ``left_out_pairs`` (of the train split) and ``validation_pairs``: how
        many halves are right; 1 means that both got one answer.
    """
    def right_of(texts, labels):
        return (model.probabilities(texts).argmax(dim=1).numpy() == np.array(labels)).astype(int)

    validation, left_out = reviews["validation"], np.array(held_out(reviews["train"], seed)[1])
    right = right_of(list(validation["text"]), validation["label"])
    known = reviews["train"].select(left_out.ravel())
    found = {"ordinary": right[data.outside_pairs(validation)],
             "left_out_pairs": right_of(list(known["text"]), known["label"]).reshape(left_out.shape).sum(axis=1),
             "validation_pairs": right[np.array(data.pairs(validation))].sum(axis=1)}
    return {name: "".join(map(str, digits)) for name, digits in found.items()}


def run(reviews, backbone, name, settings, seed):
    """Train one model on one set and measure it."""
    train = reviews["train"].select(training_rows(reviews["train"], name, seed))
    torch.manual_seed(seed)
    names = dict(enumerate(train.features["label"].names))
    model = models.TextClassifier(backbone, names, trained_layers="all" if settings else 0)
    if not settings:
        features.probe(model, list(train["text"]), train["label"])
        return {**measure(model, reviews, seed), "precision": "fp32"}
    precision = common.best_precision()
    training.fit(model, train, None, training.Config(seed=seed, precision=precision, **settings))
    return {**measure(model, reviews, seed), "precision": precision}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    reviews, backbone = data.load("reviews"), resources.find_backbone()
    about = {"data_sha256": digest([[split, list(rows["text"]), list(rows["label"])]
                                    for split, rows in sorted(reviews.items())]),
             "backbone_sha256": resources.sha256(backbone.folder / "model.safetensors"),
             "texts": COMMON + CHANGED, "sets": SETS, "ways": WAYS}
    for way, settings in WAYS.items():
        for seed in seeds:
            for name in FEWER.get(way, SETS):
                found = common.once([about["data_sha256"], about["backbone_sha256"], "data_choice", COMMON, CHANGED,
                                     SETS[name], settings, seed], partial(run, reviews, backbone, name, settings, seed))
                common.keep(RESULT, {"set": name, "way": way, "seed": seed, **found}, ("set", "way", "seed"),
                            order=lambda row: (list(WAYS).index(row["way"]), row["seed"],
                                               list(SETS).index(row["set"])), **about)


if __name__ == "__main__":
    main()
