"""Frozen, top-k and full fine-tuning on Banking77: 10-shot, 30-shot and all of it, several seeds.

    python -m benchmarks.real_data --train train.csv --test test.csv [--seeds 3] [--shots 10 30 full]

Without files the data are asked for on the hub (``PolyAI/banking77``). Settings are chosen on a fifth of the training
texts, held back, with the first seed; then the model is trained on all of them, and the test set is looked at once for
each seed. Only figures are written to results/real_data.json, no texts. Finished runs are kept in _build/runs.

Casanueva et al.: Efficient Intent Detection with Dual Sentence Encoders, NLP4ConvAI 2020.
"""

import argparse
import sys

import numpy as np
import torch

from sft_helpers import data, features, models, resources, training
from sft_helpers.storage import digest

from . import common

# mode → what is trained, and the settings tried on the texts held back
SETTINGS = {
    "frozen": [{"C": C} for C in (0.01, 0.1, 1.0)],
    "top-k": [{"epochs": 12, "lr": lr, "head_lr": 10 * lr} for lr in (2e-4, 4e-4)],
    "full": [{"epochs": epochs, "lr": lr, "head_lr": 10 * lr} for epochs, lr in ((8, 2e-4), (12, 3e-4))],
    "head first, then full": [{"C": 0.1, "epochs": 8, "lr": lr, "head_lr": lr} for lr in (1e-4, 2e-4)],
}
FULL_DATA = {  # on all texts a run takes long: one setting each, the same for every seed, chosen on 30-shot texts
    "top-k": [{"epochs": 8, "lr": 4e-4, "head_lr": 4e-3}], "full": [{"epochs": 8, "lr": 2e-4, "head_lr": 2e-3}],
    "head first, then full": [{"C": 0.1, "epochs": 8, "lr": 1e-4, "head_lr": 1e-4}]}
PUBLISHED = {  # Casanueva et al. 2020, Table 3, as remembered: unchecked
    "BERT-FIXED": {10: 0.6755, 30: 0.8007, "full": 0.8719}, "BERT-TUNED": {10: 0.8342, 30: 0.9003, "full": 0.9366}}


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
        training.fit(model, rows, None, training.Config(seed=seed, batch_size=32, **config))
    return model


def accuracy(model, rows):
    predicted = model.probabilities(list(rows["text"])).argmax(dim=1).numpy()
    return float(np.mean(predicted == np.array(rows["label"])))


def measure(backbone, splits, shots, mode, seeds):
    """Choose the setting, train with each seed, score on the test set."""
    names = dict(enumerate(splits["train"].features["label"].names))
    identity = [resources.sha256(backbone.folder / "model.safetensors"), digest(list(splits["train"]["text"])),
                digest(list(splits["test"]["text"])), "real_data", shots, mode]

    def run(part, setting, seed, score):
        def once():
            model = train(backbone, mode, setting, part, names, seed)
            return accuracy(model, score)
        return common.once([*identity, setting, seed, len(part), len(score)], once)

    settings = FULL_DATA.get(mode, SETTINGS[mode]) if shots == "full" else SETTINGS[mode]
    chosen = settings[0]
    if len(settings) > 1:
        drawn = few(splits["train"], shots, 0).train_test_split(test_size=0.2, seed=0, stratify_by_column="label")
        chosen = max(settings, key=lambda setting: run(drawn["train"], setting, 0, drawn["test"]))
    scores = [run(few(splits["train"], shots, seed), chosen, seed, splits["test"]) for seed in range(seeds)]
    row = {"data": "banking77", "shots": shots, "mode": mode, "accuracy": float(np.mean(scores)),
           "spread": float(np.std(scores, ddof=1)) if seeds > 1 else None, "seeds": seeds, "setting": chosen,
           "each_seed": scores}
    print(f"{shots!s:>5}-shot  {mode:22} {100 * row['accuracy']:.2f} % ± {100 * (row['spread'] or 0):.2f}   {chosen}",
          flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", help="CSV with the columns text and category (default: the hub)")
    parser.add_argument("--test")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shots", nargs="*", default=["10", "30", "full"])
    arguments = parser.parse_args()
    try:
        if arguments.train:
            splits = data.load_files(arguments.train, None, arguments.test, label_column="category")
        else:
            splits = data.load("PolyAI/banking77")
    except (data.DataError, resources.ResourceError) as error:
        sys.exit(f"Banking77 cannot be had: {error}")
    whole = {"train": _together(splits["train"], splits["validation"]), "test": splits["test"]}
    backbone, rows = resources.find_backbone(), []
    for shots in (int(given) if given.isdigit() else given for given in arguments.shots):
        for mode in SETTINGS:
            rows.append(measure(backbone, whole, shots, mode, arguments.seeds))
            common.write("real_data.json", {"published": {name: {str(key): value for key, value in row.items()}
                                                          for name, row in PUBLISHED.items()}, "rows": rows})
    print("\npublished, unchecked: " + "; ".join(f"{name} {' / '.join(f'{100 * v:.2f}' for v in row.values())} "
                                                 "(10 / 30 / full)" for name, row in PUBLISHED.items()))


def _together(first, second):
    from datasets import concatenate_datasets

    return concatenate_datasets([first, second])


if __name__ == "__main__":
    main()
