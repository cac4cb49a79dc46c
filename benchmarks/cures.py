"""Lesson 11's studies: cures against overfitting, and learning curves over the number of texts.

    python -m benchmarks.cures [--data messages reviews] [--seeds 10] [--draws 5] [--workers 1] [cures] [curves]

Cures: everything is fine-tuned on few texts, a fifth of them with a wrong label. Each cure may try three strengths on
validation texts with two seeds that are not used again; the best by log-loss is then run with every seed, alone and
together with the others that helped there, and measured on the test texts. A seed draws the texts, the wrong labels,
the head and the order. Contrast pairs stay out on all sides. Early stopping takes no run of its own: each run is read
after its last epoch, and after the epoch with the lowest validation loss. Every run is a row of results/cures.json,
and is not run again as long as weights and texts are the same.

Curves: so many texts for each label, drawn at random with right labels; nothing is chosen.
"""

import argparse
import multiprocessing
import os

import numpy as np
import torch

from sft_helpers import cures, data, features, messages, models, resources, training
from sft_helpers.storage import digest

from . import common

PER_LABEL = {"messages": 16, "reviews": 160}
WRONG = 0.2
RARE, COMMON = 4, 32  # on the imbalanced variant: texts of every second intent, and of the others
DATA = ("messages", "reviews", "imbalanced messages")
STRENGTHS = {"dropout": (0.1, 0.3, 0.5), "weight_decay": (0.01, 1.0, 10.0), "l1": (1e-6, 1e-5, 1e-4),
             "l2": (1e-5, 1e-4, 1e-3), "label_smoothing": (0.1, 0.2, 0.4), "deletion": (0.1, 0.2, 0.4),
             "adversarial": (0.1, 0.3, 1.0), "trained_layers": (0, 1, 3)}
TUNING_SEEDS = (100, 101)
ORDER = ("nothing", *STRENGTHS, "class_weights", "together")
SIZES = {"reviews": (16, 32, 64, 128, 256, 512), "messages": (2, 4, 8, 16, 32, 64)}  # texts a label
RUNGS = ("TF-IDF", "static BERT vectors", "frozen BERT", "top half tuned", "fully fine-tuned")


def texts(name):
    """Return the splits with a class label each, contrast pairs and messages out of scope left out."""
    if name == "reviews":
        return {split: rows.select(np.flatnonzero(data.outside_pairs(rows)).tolist()).select_columns(["text", "label"])
                for split, rows in data.load("reviews").items()}
    return messages.by_intent(messages.load())


def setting(name, splits, seed):
    """Return the training texts of one seed: few, a fifth mislabelled; or unevenly many, rightly labelled."""
    if name == "imbalanced messages":
        count = splits["train"].features["label"].num_classes
        return cures.few(splits["train"], [RARE if label % 2 else COMMON for label in range(count)], seed)
    return cures.mislabel(cures.few(splits["train"], PER_LABEL[name], seed), WRONG, seed)[0]


# ---- one run, in a process of its own where there are several ------------------------------------------------


_splits = {}


def _of(name):
    name = name.removeprefix("imbalanced ")
    if name not in _splits:
        _splits[name] = texts(name)
    return _splits[name]


def cure(job):
    """Train once with some cures and measure on the test texts, at the last epoch and at the best."""
    name, how, seed = job
    splits, rows = _of(name), setting(name, _of(name), seed)
    names = dict(enumerate(rows.features["label"].names))
    run = cures.train(resources.find_backbone(), rows, names, splits["validation"], cures.Cures(**how), seed=seed)
    found = {"training_accuracy": cures.measure(run.model, rows)["accuracy"], "history": run.history,
             "last": cures.measure(run.model, splits["test"])}
    run.model.load_state_dict(run.best, strict=False)
    return {**found, "best": cures.measure(run.model, splits["test"])}


def point(job):
    """Train one rung on so many texts a label; return its accuracy on the test texts."""
    name, rung, per_label, draw = job
    splits = _of(name)
    rows = cures.few(splits["train"], per_label, draw)

    def run():
        predicted = {"TF-IDF": tfidf, "static BERT vectors": static}.get(rung, bert)(rung, rows, splits["test"], draw)
        return float(np.mean(predicted == np.array(splits["test"]["label"])))
    key = ["curve", _weights(), rung, draw, list(rows["text"]), list(splits["test"]["text"])]
    return common.once(key, run)


def tfidf(_rung, rows, test, _draw):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from sft_helpers import text

    model = make_pipeline(TfidfVectorizer(tokenizer=text.preprocess_text, token_pattern=None),
                          LogisticRegression(C=10.0, max_iter=10_000))
    return model.fit(list(rows["text"]), list(rows["label"])).predict(list(test["text"]))


def static(_rung, rows, test, _draw):
    """Means of BERT's own input vectors, as in lesson 04, under a logistic regression."""
    backbone = resources.find_backbone()
    tokenizer = models.load_tokenizer(backbone)
    table = models.load_backbone(backbone).embeddings.word_embeddings.weight.detach().cpu()

    def means(part):
        found = tokenizer(list(part["text"]), add_special_tokens=False)["input_ids"]
        return torch.stack([table[ids].mean(dim=0) for ids in found])
    weight, bias = features.fit_head(means(rows), rows["label"], rows.features["label"].num_classes)
    return (means(test) @ weight.T + bias).argmax(dim=1).numpy()


def bert(rung, rows, test, draw):
    torch.manual_seed(draw)
    backbone, names = resources.find_backbone(), dict(enumerate(rows.features["label"].names))
    half = models.load_backbone(backbone).config.num_hidden_layers // 2
    model = models.TextClassifier(backbone, names, {"frozen BERT": 0, "top half tuned": half}.get(rung, "all"))
    if rung == "frozen BERT":
        features.probe(model, list(rows["text"]), rows["label"])
    else:
        training.fit(model, rows, None, training.Config(epochs=epochs(len(rows)), batch_size=16, lr=2e-4, head_lr=2e-3,
                                                        precision="fp32", seed=draw))
    return model.probabilities(list(test["text"])).argmax(dim=1).numpy()


def epochs(count):
    """Some 400 updates of 16 texts, but no fewer than 4 and no more than 20 epochs."""
    return int(np.clip(round(400 * 16 / count), 4, 20))


def _weights():
    return resources.sha256(resources.find_backbone().folder / "model.safetensors")


def _one_thread():
    os.environ["TQDM_DISABLE"] = "1"
    torch.set_num_threads(1)


class Workers:
    """Runs jobs one after the other here, or several at a time in processes; gives the results as they come."""

    def __init__(self, count):
        os.environ["TQDM_DISABLE"] = "1"
        self.pool = multiprocessing.get_context("spawn").Pool(count, _one_thread) if count > 1 else None

    def __call__(self, run, jobs):
        return self.pool.imap(run, jobs) if self.pool else map(run, jobs)


# ---- the studies ---------------------------------------------------------------------------------------------


class Runs:
    """The runs on one data set, those of results/cures.json among them."""

    def __init__(self, name, workers):
        splits = _of(name)
        self.name, self.workers = name, workers
        self.about = digest([_weights(), PER_LABEL, WRONG, RARE, COMMON,
                             [[split, list(rows["text"]), list(rows["label"])] for split, rows in splits.items()]])

    def run(self, jobs):
        """Run what has not been run yet, jobs of (cure, its settings, seed)."""
        missing = [job for job in jobs if self.row(*job) is None]
        for (one, how, seed), found in zip(missing, self.workers(cure, [(self.name, how, seed)
                                                                       for _, how, seed in missing]), strict=True):
            common.keep("cures.json", {"data": self.name, "cure": one, "setting": how, "seed": seed,
                                       "made_of": self.about, **found}, ("data", "cure", "setting", "seed"),
                        order=lambda row: (row["data"], ORDER.index(row["cure"]), str(row["setting"]), row["seed"]))

    def row(self, one, how, seed):
        return next((row for row in common.read("cures.json").get("rows", []) if row["made_of"] == self.about and
                     (row["data"], row["cure"], row["setting"], row["seed"]) == (self.name, one, how, seed)), None)

    def validation_loss(self, one, how):
        return float(np.mean([self.row(one, how, seed)["history"][-1]["loss"] for seed in TUNING_SEEDS]))

    def chosen(self):
        """Try the strengths; return each cure's settings by name, those without any and all that helped together."""
        self.run([(one, how, seed) for seed in TUNING_SEEDS for one, how in
                  [("nothing", {}), *((one, {one: value}) for one, values in STRENGTHS.items() for value in values)]])
        nothing, found = self.validation_loss("nothing", {}), {"nothing": {}}
        for one, values in STRENGTHS.items():
            losses = {value: self.validation_loss(one, {one: value}) for value in values}
            found[one] = {one: min(losses, key=losses.get)}
            print(f"{self.name}: {one:16} validation loss " +
                  ", ".join(f"{value:g}: {loss:.3f}" for value, loss in losses.items()) + f" (nothing: {nothing:.3f})")
        helped = [how for one, how in found.items() if how and self.validation_loss(one, how) < nothing]
        return {**found, "together": {one: value for how in helped for one, value in how.items()}}


def study_cures(workers, seeds, names):
    for name in names:
        runs = Runs(name, workers)
        ways = {"nothing": {}, "class_weights": {"class_weights": True}} if name.startswith("imbalanced") \
            else runs.chosen()
        runs.run([(one, how, seed) for seed in range(seeds) for one, how in ways.items()])
        for one, how in ways.items():
            rows = [runs.row(one, how, seed) for seed in range(seeds)]
            scores = [f"{when} epoch: loss {np.mean([row[when]['loss'] for row in rows]):.3f} accuracy "
                      f"{100 * np.mean([row[when]['accuracy'] for row in rows]):.1f}" for when in ("last", "best")]
            print(f"{name:10} {one:16} {'   '.join(scores)}   {how}")


def study_curves(workers, draws, rungs):
    """Measure each rung on more and more texts."""
    for name, sizes in SIZES.items():
        jobs = [(name, rung, size, draw) for rung in rungs for size in sizes for draw in range(draws)]
        found = dict(zip(jobs, workers(point, jobs), strict=True))
        for rung in rungs:
            for size in sizes:
                each = [found[name, rung, size, draw] for draw in range(draws)]
                row = {"study": "curves", "data": name, "rung": rung, "per_label": size, "draws": draws,
                       "accuracy": float(np.mean(each)), "spread": float(np.std(each, ddof=1)), "each_draw": each}
                common.keep("curves.json", row, ("data", "rung", "per_label"),
                            order=lambda row: (row["data"], RUNGS.index(row["rung"]), row["per_label"]))
            line = [f"{100 * np.mean([found[name, rung, size, draw] for draw in range(draws)]):.1f}"
                    for size in sizes]
            print(f"{name:10} {rung:20} {dict(zip(sizes, line, strict=True))}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", default=["cures", "curves"], help="cures, curves (default: both)")
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA), help="for the cures")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1, help="processes side by side (with a GPU, or many cores)")
    parser.add_argument("--rungs", nargs="*", choices=RUNGS, default=list(RUNGS))
    arguments = parser.parse_args()
    workers = Workers(arguments.workers)
    if "curves" in arguments.parts:
        study_curves(workers, arguments.draws, arguments.rungs)
    if "cures" in arguments.parts:
        study_cures(workers, arguments.seeds, arguments.data)


if __name__ == "__main__":
    main()
