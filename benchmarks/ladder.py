"""All rungs of the ladder over several seeds, for the shipped reviews and for real film snippets.

    python -m benchmarks.ladder [--seeds 3] [--film FILE] [reviews] [film]

Each rung may try the same number of settings (3) on validation data, with the first seed; the best is then run with
every seed and looked at on the test set once. The film snippets (Pang and Lee, 2005) are read from NLTK's
``sentence_polarity`` where NLTK_DATA has it, or from the hub; as many training and validation texts are taken as the
reviews have. Finished runs are kept in _build/runs, so that an interrupted study goes on.
"""

import argparse
import csv

import numpy as np
import torch
from datasets import DatasetDict
from gensim.models import KeyedVectors
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sft_helpers import data, embeddings, environment, ladder, models, resources, text, training
from sft_helpers.resources import sha256
from sft_helpers.storage import digest

from . import common

LINEAR = {"C": (0.01, 0.1, 1.0)}
COUNTED = {"C": (0.1, 1.0, 10.0)}  # features that are not standardised want another range
TUNED = {"lr": (5e-5, 1e-4, 2e-4)}
HALF = {"lr": (1e-4, 2e-4, 4e-4)}
EPOCHS = 4


def film():
    """Return film snippets as a DatasetDict, or None where they cannot be had."""
    try:
        from nltk.corpus import sentence_polarity

        found = dict.fromkeys(map(" ".join, sentence_polarity.sents(categories="pos")), "positive")
        found.update(dict.fromkeys(map(" ".join, sentence_polarity.sents(categories="neg")), "negative"))
    except LookupError:
        try:
            return _reduced(data.load("cornell-movie-review-data/rotten_tomatoes"))
        except resources.ResourceError as error:
            print(f"film snippets: skipped ({error})")
            return None
    path = common.ROOT / "_build" / "film.csv"
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(found.items())
    return _reduced(data.load(path))


def _reduced(splits):
    """As many training and validation texts as the reviews have; the test set whole."""
    reviews = data.load("reviews")
    sizes = {split: min(len(reviews[split]), len(splits[split])) for split in ("train", "validation")}
    return DatasetDict({split: rows.shuffle(seed=0).select(range(sizes[split])) if split in sizes else rows
                        for split, rows in splits.items()})


class Rungs:
    """The rungs on one data set: each method trains with one setting and one seed.

    It returns the validation accuracy and the predictions for the test texts.
    """

    def __init__(self, splits, backbone):
        self.splits, self.source = splits, backbone
        self.texts = {split: list(rows["text"]) for split, rows in splits.items()}
        self.y = {split: np.array(rows["label"]) for split, rows in splits.items()}
        self.tokens = {split: [text.preprocess_text(t) for t in texts] for split, texts in self.texts.items()}
        self.tokenizer = models.load_tokenizer(backbone)
        self.vectors = {}

    def _logistic(self, x, C, scale=True):
        if scale:
            scaler = StandardScaler().fit(x["train"])
            x = {split: scaler.transform(part) for split, part in x.items()}
        head = LogisticRegression(C=C, max_iter=10_000).fit(x["train"], self.y["train"])
        return head.score(x["validation"], self.y["validation"]), head.predict(x["test"]).tolist()

    def _vectors(self, name, make):
        """Vectors of a rung do not depend on C: they are computed once for a seed."""
        if name not in self.vectors:
            self.vectors = {name: make()}
        return self.vectors[name]

    def majority(self, setting, seed):
        label = int(np.bincount(self.y["train"]).argmax())
        return float(np.mean(self.y["validation"] == label)), [label] * len(self.y["test"])

    def tfidf(self, setting, seed):
        vectorizer = TfidfVectorizer(tokenizer=text.preprocess_text, token_pattern=None).fit(self.texts["train"])
        x = {split: vectorizer.transform(texts) for split, texts in self.texts.items()}
        return self._logistic(x, setting["C"], scale=False)

    def word2vec(self, setting, seed, **how):
        def make():
            vectors = embeddings.train_word2vec(self.tokens["train"], seed=seed, **how)
            return {split: embeddings.mean_vectors(tokens, vectors) for split, tokens in self.tokens.items()}
        return self._logistic(self._vectors(f"word2vec {how} {seed}", make), setting["C"])

    def word2vec_article(self, setting, seed):
        return self.word2vec(setting, seed, sg=0, epochs=5)

    def word2vec_skipgram(self, setting, seed):
        return self.word2vec(setting, seed, sg=1, epochs=30)

    def static(self, setting, seed):
        def make():
            table = models.load_backbone(self.source).embeddings.word_embeddings.weight.detach().cpu().numpy()
            pieces = KeyedVectors(table.shape[1])
            pieces.add_vectors(self.tokenizer.convert_ids_to_tokens(range(len(table))), table)
            return {split: embeddings.mean_vectors([self.tokenizer.tokenize(t) for t in texts], pieces)
                    for split, texts in self.texts.items()}
        return self._logistic(self._vectors("static", make), setting["C"])

    def _encoded(self, pretrained, seed):
        environment.seed_everything(seed)
        bert = models.load_backbone(self.source, pretrained=pretrained)
        return {split: models.encode(texts, bert, self.tokenizer).numpy() for split, texts in self.texts.items()}

    def random_frozen(self, setting, seed):
        return self._logistic(self._vectors(f"random {seed}", lambda: self._encoded(False, seed)), setting["C"])

    def frozen(self, setting, seed):
        return self._logistic(self._vectors("frozen", lambda: self._encoded(True, 0)), setting["C"])

    def _tuned(self, layers, setting, seed):
        torch.manual_seed(seed)
        names = dict(enumerate(self.splits["train"].features["label"].names))
        model = models.TextClassifier(self.source, names, trained_layers=layers)
        config = training.Config(epochs=EPOCHS, lr=setting["lr"], head_lr=10 * setting["lr"], seed=seed)
        history = training.fit(model, self.splits["train"], self.splits["validation"], config)
        return history.best["accuracy"], model.probabilities(self.texts["test"]).argmax(dim=1).tolist()

    def top_half(self, setting, seed):
        config = models.load_backbone(self.source).config
        return self._tuned(config.num_hidden_layers // 2, setting, seed)

    def full(self, setting, seed):
        return self._tuned("all", setting, seed)


METHODS = {"majority": ("majority", {None: (None,)}, False), "Word2Vec, article": ("word2vec_article", LINEAR, True),
           "random BERT, frozen": ("random_frozen", LINEAR, True),
           "Word2Vec, skip-gram": ("word2vec_skipgram", LINEAR, True), "static BERT vectors": ("static", LINEAR, False),
           "TF-IDF": ("tfidf", COUNTED, False), "frozen BERT": ("frozen", LINEAR, False),
           "top half tuned": ("top_half", HALF, True), "fully fine-tuned": ("full", TUNED, True)}
assert tuple(METHODS) == ladder.RUNGS


def climb(name, splits, backbone, seeds):
    """Measure all rungs on one data set and return its part of ladder.json."""
    rungs = Rungs(splits, backbone)
    identity = [digest([[s, rungs.texts[s], rungs.y[s].tolist()] for s in sorted(splits)]),
                sha256(backbone.folder / "model.safetensors")]
    rows = []
    for rung, (method, settings, random) in METHODS.items():
        ((knob, values),) = settings.items()

        def run(value, seed, rung=rung, method=method, knob=knob):
            key = [*identity, rung, knob, value, seed, EPOCHS]
            return common.once(key, lambda: getattr(rungs, method)({knob: value}, seed))

        tried = {value: run(value, 0)[0] for value in values}
        chosen = max(tried, key=tried.get)
        # a rung without chance in it (no seed enters) is run once, and its row says so
        predictions = [run(chosen, seed)[1] for seed in range(seeds if random else 1)]
        scored = ladder.score(splits["test"], predictions)
        each = [float(np.mean(np.array(p) == rungs.y["test"])) for p in predictions]
        rows.append({"rung": rung, "accuracy": scored.everything.value, "low": scored.everything.low,
                     "high": scored.everything.high, "seeds": len(predictions), "each_seed": each,
                     "ordinary": list(scored.ordinary),
                     "pairs_both_right": None if np.isnan(scored.both_right.value) else scored.both_right.value,
                     "pairs_interval": None if np.isnan(scored.both_right.value) else list(scored.both_right[1:]),
                     "tried": [{knob: value, "validation": score} for value, score in tried.items() if knob],
                     "chosen": {knob: chosen} if knob else {}})
        print(f"{name:8} {rung:20} {scored.everything!s:22} ordinary {scored.ordinary!s:22} pairs {scored.both_right!s}"
              f"  {rows[-1]['chosen']} seeds {[round(100 * score, 1) for score in each]}", flush=True)
    return {**common.measured(), "data_sha256": identity[0], "backbone_sha256": identity[1],
            "sizes": {split: len(rows) for split, rows in splits.items()}, "rungs": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="*", default=["reviews", "film"], help="reviews, film (default: both)")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    backbone = resources.find_backbone()
    found = common.read("ladder.json").get("data", {})  # what is not asked for stays, with its own date and machine
    for name in arguments.data:
        splits = {"reviews": lambda: data.load("reviews"), "film": film}[name]()
        if splits:
            found[name] = climb(name, splits, backbone, arguments.seeds)
            common.write("ladder.json", {"data": found})


if __name__ == "__main__":
    main()
