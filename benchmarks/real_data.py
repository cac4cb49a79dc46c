"""Frozen, top-k and full fine-tuning on Banking77: 10-shot, 30-shot and all of it, several seeds.

    python -m benchmarks.real_data --train train.csv --test test.csv [--seeds 3] [--shots 10 30 full] [--modes …]

Without files the data are asked for on the hub (``PolyAI/banking77``). Settings are chosen by training on four fifths
of the texts drawn and scoring on the rest, with the first seed; where BERT moves, 30-shot takes those of 10-shot. Then
the model is trained on all of its texts, and the test set is looked at once for each seed. Only figures are written to
results/real_data.json, no texts; rows of shots and modes that are left out stay there. Finished runs are kept in
_build/runs.

Casanueva et al.: Efficient Intent Detection with Dual Sentence Encoders, NLP4ConvAI 2020.
"""

import argparse
import sys

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Features, Value, concatenate_datasets

from sft_helpers import data, features, models, resources, training
from sft_helpers.storage import digest

from . import common

# mode → the settings tried on the texts held back
SETTINGS = {
    "frozen": [{"C": C} for C in (0.01, 0.1, 1.0)],
    "top-k": [{"epochs": 12, "batch_size": 16, "lr": lr, "head_lr": 10 * lr} for lr in (2e-4, 4e-4)],
    "full": [{"epochs": 12, "batch_size": 16, "lr": lr, "head_lr": 10 * lr} for lr in (2e-4, 3e-4)],
    "head first, then full": [{"C": 0.1, "epochs": 12, "batch_size": 16, "lr": lr, "head_lr": lr}
                              for lr in (1e-4, 2e-4)],
}
FULL_DATA = {  # the same for all texts, of which fewer epochs make as many updates; a single one is taken untried
    "frozen": SETTINGS["frozen"],
    "top-k": [{"epochs": 6, "lr": 4e-4, "head_lr": 4e-3}],
    "full": [*({"epochs": 10, "lr": lr, "head_lr": 10 * lr} for lr in (5e-5, 1e-4, 2e-4, 3e-4, 4e-4)),
             {"epochs": 10, "batch_size": 16, "lr": 2e-4, "head_lr": 2e-3},
             {"epochs": 10, "lr": 1e-4, "head_lr": 5e-3},
             *({"epochs": epochs, "lr": lr, "head_lr": 10 * lr, **more} for epochs, lr, more in (
                 (15, 1e-4, {}), (6, 2e-4, {}), (10, 1e-4, {"bucketing": False}),
                 (10, 2e-4, {"layer_decay": 0.8}), (10, 4e-4, {"layer_decay": 0.65}), (6, 4e-4, {"layer_decay": 0.8}),
                 (6, 4e-4, {"layer_decay": 0.65}), (6, 4e-4, {"layer_decay": 0.4}), (6, 2e-4, {"label_smoothing": 0.1}),
                 (6, 4e-4, {"layer_decay": 0.4, "label_smoothing": 0.1})))],
    "head first, then full": [{"C": 0.1, "epochs": 4, "lr": 1e-4, "head_lr": 1e-4}]}
PRECISION = common.best_precision()
PUBLISHED = {  # Casanueva et al. 2020, Table 3, as remembered: unchecked; BERT-large, by the README of their code
    "BERT-FIXED": {10: 0.6755, 30: 0.8007, "full": 0.8719}, "BERT-TUNED": {10: 0.8342, 30: 0.9003, "full": 0.9366}}
# bert-base-uncased, 3 epochs at 5e-5, all texts: the least and the highest F1 of nine public model cards (how averaged
# they do not say), SeoJeongYun/bert-base-banking77-pt2-jy and a-grishman/bert-base-banking77-pt2 on the hub
MODEL_CARDS = 0.9258, 0.9369


def published(train, test):
    """The two files as they were published: repeated texts stay, as on the hub."""
    parts = {split: data.read_csv(path, label_column="category") for split, path in (("train", train), ("test", test))}
    names = sorted({row.label for row in parts["train"]})
    kinds = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    return {split: Dataset.from_dict({"text": [row.text for row in rows], "label": [row.label for row in rows]},
                                     features=kinds) for split, rows in parts.items()}


def few(rows, shots, seed):
    """So many texts of each label, drawn at random; all of them for "full"."""
    if shots == "full":
        return rows
    random, labels = np.random.default_rng(seed), np.array(rows["label"])
    chosen = [random.choice(np.flatnonzero(labels == label), shots, replace=False) for label in np.unique(labels)]
    return rows.select(np.sort(np.concatenate(chosen)))


def train(backbone, mode, setting, rows, names, seed):
    """Return a classifier trained in one of the modes."""
    torch.manual_seed(seed)
    depth = models.load_backbone(backbone).config.num_hidden_layers
    layers = {"frozen": 0, "top-k": depth // 2}.get(mode, "all")
    model = models.TextClassifier(backbone, names, layers, max_length=64)
    if "C" in setting:
        features.probe(model, list(rows["text"]), rows["label"], setting["C"])
    if mode != "frozen":
        config = {name: value for name, value in setting.items() if name != "C"}
        training.fit(model, rows, None, training.Config(seed=seed, precision=PRECISION, **config))
    return model


def accuracy(model, rows):
    predicted = model.probabilities(list(rows["text"])).argmax(dim=1).numpy()
    return float(np.mean(predicted == np.array(rows["label"])))


def measure(backbone, splits, shots, mode, seeds):
    """Choose the setting, train with each seed, score on the test set."""
    names = dict(enumerate(splits["train"].features["label"].names))
    identity = [resources.sha256(backbone.folder / "model.safetensors"), digest(list(splits["train"]["text"])),
                digest(list(splits["test"]["text"])), "real_data", mode, PRECISION]

    def run(part, setting, seed, score):
        def once():
            model = train(backbone, mode, setting, part, names, seed)
            return accuracy(model, score)
        return common.once([*identity, setting, seed, len(part), len(score)], once)

    candidates = (FULL_DATA if shots == "full" else SETTINGS)[mode]
    chosen, held_back = candidates[0], []
    if len(candidates) > 1:  # texts of the training split alone decide
        drawn = few(splits["train"], 10 if mode != "frozen" and shots == 30 else shots, 0)
        drawn = drawn.train_test_split(test_size=0.2, seed=0, stratify_by_column="label")
        held_back = [{"setting": setting, "accuracy": run(drawn["train"], setting, 0, drawn["test"])}
                     for setting in candidates]
        chosen = max(held_back, key=lambda tried: tried["accuracy"])["setting"]
    scores = [run(few(splits["train"], shots, seed), chosen, seed, splits["test"]) for seed in range(seeds)]
    row = {"data": "banking77", "shots": shots, "mode": mode, "accuracy": float(np.mean(scores)),
           "spread": float(np.std(scores, ddof=1)) if seeds > 1 else None, "seeds": seeds, "setting": chosen,
           "each_seed": scores, "held_back": held_back, "precision": PRECISION}
    print(f"{shots!s:>5}-shot  {mode:22} {100 * row['accuracy']:.2f} % ± {100 * (row['spread'] or 0):.2f}   {chosen}",
          flush=True)
    return row


def keep(row):
    """Put a row among those of results/real_data.json, in the place of an older one."""
    shots, modes = [10, 30, "full"], list(SETTINGS)
    common.keep("real_data.json", row, ("shots", "mode"),
                order=lambda one: (shots.index(one["shots"]), modes.index(one["mode"])),
                published={name: {str(key): value for key, value in published.items()}
                           for name, published in PUBLISHED.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", help="CSV with the columns text and category (default: the hub)")
    parser.add_argument("--test")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shots", nargs="*", default=["10", "30", "full"])
    parser.add_argument("--modes", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    arguments = parser.parse_args()
    if bool(arguments.train) != bool(arguments.test):
        parser.error("--train and --test belong together.")
    if arguments.seeds < 1 or not all(given == "full" or given.isdigit() and int(given) for given in arguments.shots):
        parser.error("--seeds is 1 or more, --shots are whole numbers or 'full'.")
    try:
        if arguments.train:
            whole = published(arguments.train, arguments.test)
        else:
            splits = data.load("PolyAI/banking77")
            whole = {"train": concatenate_datasets([splits["train"], splits["validation"]]), "test": splits["test"]}
    except (data.DataError, resources.ResourceError) as error:
        sys.exit(f"Banking77 cannot be had: {error}")
    known = set(whole["train"]["text"])
    print(f"{len(whole['train'])} training and {len(whole['test'])} test texts, as published; "
          f"{sum(text in known for text in whole['test']['text'])} of the test texts stand in the training texts too")
    backbone = resources.find_backbone()
    for shots in (int(given) if given.isdigit() else given for given in arguments.shots):
        for mode in arguments.modes:
            keep(measure(backbone, whole, shots, mode, arguments.seeds))
    print("\npublished, unchecked: " + "; ".join(f"{name} {' / '.join(f'{100 * v:.2f}' for v in row.values())} "
                                                 "(10 / 30 / full)" for name, row in PUBLISHED.items()))
    print("bert-base-uncased after 3 epochs at 5e-5, by nine public model cards: F1 "
          f"{100 * MODEL_CARDS[0]:.1f}–{100 * MODEL_CARDS[1]:.1f} (full)")


if __name__ == "__main__":
    main()
