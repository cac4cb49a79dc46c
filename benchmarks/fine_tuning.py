"""The studies behind lesson 08: learning rates, layers, head first or everything at once, the article's ten epochs.

    python -m benchmarks.fine_tuning [--seeds 2]

All of it is measured on the validation reviews; the test set is not touched. Finished runs are kept in _build/runs, so
that an interrupted study goes on.
"""

import argparse
import time

import numpy as np
import torch

from sft_helpers import data, features, models, resources, training
from sft_helpers.storage import digest

from . import common

RATES = (2e-5, 5e-5, 1e-4, 2e-4, 4e-4, 1e-3)
SWEEP_EPOCHS, LAYER_EPOCHS = 2, 2
LAYERS = (0, 1, 2, 4, "all")
PER_LABEL, DRAWS = 32, 5


class Study:
    def __init__(self):
        self.reviews, self.backbone = data.load("reviews"), resources.find_backbone()
        self.names = dict(enumerate(self.reviews["train"].features["label"].names))
        self.identity = {
            "data_sha256": digest([[split, list(rows["text"]), list(rows["label"])]
                                   for split, rows in sorted(self.reviews.items())]),
            "backbone_sha256": resources.sha256(self.backbone.folder / "model.safetensors")}

    def classifier(self, seed, **how):
        torch.manual_seed(seed)
        return models.TextClassifier(self.backbone, self.names, **how)

    def run(self, train=None, seed=0, config=None, **how):
        """Train once; return the curves."""
        def train_it():
            began = time.perf_counter()
            model = self.classifier(seed, **how)
            history = training.fit(model, train or self.reviews["train"], self.reviews["validation"],
                                   training.Config(seed=seed, **config))
            found = {name: [entry[name] for entry in history.epochs] for name in ("train_loss", "loss", "accuracy")}
            return {**found, "trained_weights": sum(w.numel() for w in model.parameters() if w.requires_grad),
                    "seconds": round(time.perf_counter() - began, 1)}
        key = [self.identity, "fine_tuning", how, config, seed, digest(list(train["text"])) if train else "all"]
        return common.once(key, train_it)

    def learning_rate(self, lr, seed):
        found = self.run(seed=seed, trained_layers="all", config={"epochs": SWEEP_EPOCHS, "lr": lr, "head_lr": 1e-3})
        return {"lr": lr, "seed": seed, **found}

    def layers(self, count, seed):
        rate = 1e-4 if count == "all" else 2e-4
        found = self.run(seed=seed, trained_layers=count,
                         config={"epochs": LAYER_EPOCHS, "lr": rate, "head_lr": 1e-2 if count == 0 else 1e-3})
        return {"trained_layers": count, "lr": rate, "seed": seed, **found}

    def few(self, draw):
        """So many reviews of each label, drawn at random from the training split."""
        train, chosen = self.reviews["train"], []
        random = np.random.default_rng(draw)
        for label in self.names:
            rows = np.flatnonzero(np.array(train["label"]) == label)
            chosen += random.choice(rows, PER_LABEL, replace=False).tolist()
        return train.select(sorted(chosen))

    def few_shot(self, draw):
        """Frozen; everything at once; the frozen run's head first, then everything from there."""
        few = self.few(draw)

        def three_ways():
            validation = self.reviews["validation"]

            def score(model):
                predicted = model.probabilities(list(validation["text"])).argmax(dim=1)
                return float(np.mean(predicted.numpy() == np.array(validation["label"])))

            probe = self.classifier(draw)
            features.probe(probe, list(few["text"]), few["label"])
            found = {"frozen": score(probe)}
            at_once = self.classifier(draw, trained_layers="all")
            training.fit(at_once, few, None, training.Config(epochs=12, batch_size=16, lr=3e-4, head_lr=3e-3,
                                                             seed=draw))
            found["all at once"] = score(at_once)
            head_first = self.classifier(draw, trained_layers="all")
            head_first.head.load_state_dict(probe.head.state_dict())
            training.fit(head_first, few, None, training.Config(epochs=12, batch_size=16, lr=1e-4, head_lr=1e-4,
                                                                seed=draw))
            found["head first"] = score(head_first)
            return found

        found = common.once([self.identity, "few_shot", PER_LABEL, draw, digest(list(few["text"]))], three_ways)
        return [{"method": method, "per_label": PER_LABEL, "draw": draw, "accuracy": accuracy}
                for method, accuracy in found.items()]

    def ten_epochs(self):
        """The settings of the article's listing."""
        settings = {"pooling": "pooler", "config": {"epochs": 10, "lr": 1e-3, "head_lr": 1e-3, "weight_decay": 0.0,
                                                    "warmup": 0.0, "schedule": "constant", "max_grad_norm": None}}
        return {"name": "article", "settings": settings, **self.run(trained_layers="all", **settings)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    seeds = range(parser.parse_args().seeds)
    study = Study()
    found = {**study.identity, "sizes": {split: len(rows) for split, rows in study.reviews.items()},
             "learning_rates": [], "layers": [], "few_shot": [], "ten_epochs": []}

    def keep(part, rows):
        found[part] += rows
        common.write("fine_tuning.json", found)

    for lr in RATES:
        keep("learning_rates", [study.learning_rate(lr, 0)])
    for draw in range(DRAWS):
        keep("few_shot", study.few_shot(draw))
    keep("ten_epochs", [study.ten_epochs()])
    for count in LAYERS:
        keep("layers", [study.layers(count, 0)])
    for seed in seeds[1:]:
        for lr in RATES:
            keep("learning_rates", [study.learning_rate(lr, seed)])
        for count in LAYERS:
            keep("layers", [study.layers(count, seed)])


if __name__ == "__main__":
    main()
