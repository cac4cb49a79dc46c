"""What a few corrections bring to a shop's assistant, and what they cost in general: the study behind lesson 13.

    python -m benchmarks.assistant [--shops …] [--ways …] [--draws 5] [--choose]

Three shops, corrections drawn at random from a shop's pool (so many of each intent that it has), accuracy on the shop's
test messages and on the general ones. ``--choose`` prints how the settings were chosen: on the general validation
messages, and on corrections that were not drawn; the test messages are not touched. Finished runs are kept in
_build/runs, rows that are left out stay in results/assistant.json.
"""

import argparse
import contextlib
import copy
import functools
import io
import logging
import tempfile
import time

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Features, Value, concatenate_datasets
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from torch import nn

from sft_helpers import assistant, features, messages, models, resources, training
from sft_helpers.assistant import PENALTY, WEIGHT
from sft_helpers.storage import digest

from . import common

SIZES = (0, 1, 2, 4, 8, 16)  # corrections of each intent
PEERS_AT = 8
DRAWS, SETFIT_DRAWS = 5, 3
LAYERS, EPOCHS, RATE = 2, 2, 2e-4  # of the way that moves the top of the backbone
ALONE_RATE = 1e-3  # of the head that is trained on nothing but corrections: gentle, and best on those not drawn
COPIES = 4  # how often a correction stands among the general messages there


class Study:
    def __init__(self):
        self.backbone = resources.find_backbone()
        self.general, self.shops = messages.load(), {name: messages.load_shop_messages(name) for name in messages.SHOPS}
        self.intents = list(messages.INTENTS)
        self.bert, self.tokenizer = models.load_backbone(self.backbone), models.load_tokenizer(self.backbone)
        self.read = {}
        self.test = inside(self.general["test"])
        self.identity = digest([[list(part["text"]), list(part["intent"])]
                                for parts in (self.general, *self.shops.values()) for part in parts.values()],
                               resources.sha256(self.backbone.folder / "model.safetensors"))

    def vectors(self, rows):
        """The assistant's vectors of messages, each computed once."""
        texts = list(rows["text"])
        new = [text for text in dict.fromkeys(texts) if text not in self.read]
        if new:
            depths = assistant.depths(self.bert.config.num_hidden_layers)
            self.read |= dict(zip(new, models.encode(new, self.bert, self.tokenizer, depths=depths), strict=True))
        return torch.stack([self.read[text] for text in texts]) if texts else torch.zeros(0, 0)

    def targets(self, rows):
        return np.array([self.intents.index(intent) for intent in rows["intent"]])

    @functools.cached_property
    def assistant(self):
        """The assistant without corrections."""
        train = self.general["train"]
        return assistant.Assistant(self.backbone, train["text"], train["intent"], train["sentiment"],
                                   messages.load_shop(messages.SHOPS[0]))

    def scores(self, predict, shop):
        """Accuracy on the shop's test messages and on the general ones."""
        return [float(np.mean(np.asarray(predict(rows)) == self.targets(rows)))
                for rows in (self.shops[shop]["test"], self.test)]

    def of_head(self, weight, bias, shop):
        return self.scores(lambda rows: nn.functional.linear(self.vectors(rows), weight, bias).argmax(dim=1), shop)

    def drawn(self, shop, count, draw):
        """So many corrections of each intent of a shop; with the rest of the pool."""
        pool = self.shops[shop]["corrections"]
        chosen, rest = draw_corrections(pool["intent"], count, draw)
        return pool.select(chosen), pool.select(rest)

    def fit(self, corrections, C=PENALTY, weight=WEIGHT):
        """The assistant's way: the head on the general messages and the corrections."""
        train = self.general["train"]
        rows = concatenate_datasets([train, corrections])
        targets = self.targets(rows)
        counts = assistant.row_weights(targets, len(corrections), weight)
        return features.fit_head(self.vectors(rows), targets, len(self.intents), C, counts)


def inside(rows):
    return rows.filter(lambda intent: intent != messages.OUT_OF_SCOPE, input_columns="intent")


def draw_corrections(intents, count, draw):
    """Return the rows of ``count`` corrections of each intent, drawn at random, and the rows that are left."""
    random, intents = np.random.default_rng(draw), np.array(intents)
    chosen = [random.permutation(np.flatnonzero(intents == intent))[:count] for intent in sorted(set(intents))]
    chosen = np.sort(np.concatenate(chosen))
    return chosen, np.setdiff1d(np.arange(len(intents)), chosen)


# ---- the ways: each returns accuracy in the shop, accuracy in general, seconds ----------------------------------


def replayed(study, shop, corrections, _draw):
    owned = copy.deepcopy(study.assistant)
    began = time.perf_counter()
    owned.learn(corrections["text"], corrections["intent"])
    seconds = time.perf_counter() - began
    return *study.of_head(*study.fit(corrections), shop), seconds


def alone(study, shop, corrections, _draw):
    """Go on training the general head on the corrections and nothing else."""
    weight, bias = study.fit(corrections.select([]))
    head = nn.Linear(*reversed(weight.shape))
    head.load_state_dict({"weight": weight, "bias": bias})
    began = time.perf_counter()
    if len(corrections):
        vectors, targets = study.vectors(corrections), torch.tensor(study.targets(corrections))
        optimizer = torch.optim.Adam(head.parameters(), lr=ALONE_RATE)
        for _step in range(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(vectors), targets).backward()
            optimizer.step()
    seconds = time.perf_counter() - began
    return *study.of_head(head.weight.detach(), head.bias.detach(), shop), seconds


def top_layers(study, shop, corrections, draw):
    """Move the top of the backbone on the general messages and the corrections, from the general head."""
    torch.manual_seed(draw)
    train = study.general["train"]
    model = models.TextClassifier(study.backbone, dict(enumerate(study.intents)), trained_layers=LAYERS)
    features.probe(model, list(train["text"]), study.targets(train), PENALTY)
    kinds = Features({"text": Value("string"), "label": ClassLabel(names=study.intents)})
    rows = Dataset.from_dict({
        "text": list(train["text"]) + COPIES * list(corrections["text"]),
        "label": [*study.targets(train).tolist(), *(COPIES * study.targets(corrections).tolist())]}, features=kinds)
    began = time.perf_counter()
    training.fit(model, rows, None, training.Config(epochs=EPOCHS, lr=RATE, head_lr=RATE, seed=draw))
    seconds = time.perf_counter() - began

    def predict(rows):
        return model.probabilities(list(rows["text"])).argmax(dim=1).numpy()
    return *study.scores(predict, shop), seconds


def setfit(study, shop, corrections, draw):
    """SetFit in the settings of its quick start: the corrections, and as many general messages of each other intent."""
    from setfit import SetFitModel, Trainer, TrainingArguments

    logging.getLogger("setfit").setLevel(logging.ERROR)
    general = study.general["train"]
    few = general.select(draw_corrections(general["intent"], PEERS_AT, draw)[0])
    corrected = set(corrections["intent"])
    few = few.filter(lambda intent: intent not in corrected, input_columns="intent")
    rows = Dataset.from_dict({"text": [*few["text"], *corrections["text"]],
                              "label": [*study.targets(few).tolist(), *study.targets(corrections).tolist()]})
    peer = SetFitModel(model_body=common.sentence_transformer(models.MAX_LENGTH), model_head=LogisticRegression())
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):  # a dict a step
        Trainer(model=peer, args=TrainingArguments(batch_size=32, num_epochs=1, report_to="none", output_dir=folder,
                                                   show_progress_bar=False, seed=draw), train_dataset=rows).train()
    seconds = time.perf_counter() - began
    return *study.scores(lambda rows: torch.as_tensor(peer.predict(list(rows["text"]))).numpy(), shop), seconds


def centroid(study, shop, corrections, _draw):
    """The nearest mean vector, of general messages and corrections (each weighs as in the assistant)."""
    train = study.general["train"]
    began = time.perf_counter()
    rows = concatenate_datasets([train] + round(WEIGHT) * [corrections])
    vectors, targets = study.vectors(rows), study.targets(rows)
    fitted = NearestCentroid().fit(nn.functional.normalize(vectors).numpy(), targets)
    seconds = time.perf_counter() - began
    return *study.scores(lambda rows: fitted.predict(nn.functional.normalize(study.vectors(rows)).numpy()),
                         shop), seconds


def counted_words(study, shop, corrections, _draw):
    train = study.general["train"]
    rows = concatenate_datasets([train, corrections])
    targets = study.targets(rows)
    counts = assistant.row_weights(targets, len(corrections), WEIGHT)
    began = time.perf_counter()
    fitted = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
                           LogisticRegression(C=10, max_iter=1000))
    fitted.fit(list(rows["text"]), targets, logisticregression__sample_weight=counts)
    seconds = time.perf_counter() - began
    return *study.scores(lambda rows: fitted.predict(list(rows["text"])), shop), seconds


# way → how, at how many corrections, how many draws, what the result depends on beside the data
WAYS = {
    "head, general messages replayed": (replayed, SIZES, DRAWS, (PENALTY, WEIGHT)),
    "head, corrections alone": (alone, SIZES, DRAWS, (PENALTY, ALONE_RATE)),
    f"top {LAYERS} layers tuned, general messages replayed": (top_layers, (0, PEERS_AT), DRAWS,
                                                              (PENALTY, EPOCHS, COPIES, RATE)),
    "SetFit": (setfit, (PEERS_AT,), SETFIT_DRAWS, ()),
    "nearest centroid": (centroid, (PEERS_AT,), DRAWS, (WEIGHT,)),
    "TF-IDF + logistic regression": (counted_words, (0, PEERS_AT), DRAWS, (WEIGHT,)),
}


def measure(study, shop, way, count, draws):
    """One row: mean and spread over the draws."""
    how, _sizes, _draws, settings = WAYS[way]
    found = []
    for draw in range(draws if count else 1):
        corrections, _rest = study.drawn(shop, count, draw)
        key = ["assistant", study.identity, shop, way, count, draw, settings,
               assistant.depths(study.bert.config.num_hidden_layers)]
        found.append(common.once(key, lambda c=corrections, d=draw: how(study, shop, c, d)))
    in_shop, general, seconds = np.array(found).T

    def spread(values):
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"shop": shop, "way": way, "corrections": count, "shop_accuracy": float(in_shop.mean()),
            "shop_spread": spread(in_shop), "general_accuracy": float(general.mean()),
            "general_spread": spread(general), "seconds": float(np.median(seconds)), "draws": len(found)}


def choose(study):
    """Print what the settings were chosen by."""
    train, validation = study.general["train"], inside(study.general["validation"])
    print("C of the head, general validation messages:")
    for C in (0.01, 0.03, 0.1, 0.3, 1.0):
        weight, bias = study.fit(train.select([]), C)
        print(f"  {C:<5} {accuracy(study, validation, weight, bias):.1%}")
    print(f"weight of a correction, {PEERS_AT} an intent; corrections not drawn | general validation messages:")
    for weight_of in (1, 2, 4, 8, 16, 32):
        left, kept = [], []
        for shop in messages.SHOPS:
            for draw in range(DRAWS):
                corrections, rest = study.drawn(shop, PEERS_AT, draw)
                head = study.fit(corrections, weight=weight_of)
                left.append(accuracy(study, rest, *head))
                kept.append(accuracy(study, validation, *head))
        print(f"  {weight_of:<5} {np.mean(left):.1%} | {np.mean(kept):.1%}")


def accuracy(study, rows, weight, bias):
    predicted = nn.functional.linear(study.vectors(rows), weight, bias).argmax(dim=1).numpy()
    return float(np.mean(predicted == study.targets(rows)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shops", nargs="*", choices=messages.SHOPS, default=messages.SHOPS)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS), metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--choose", action="store_true")
    chosen = parser.parse_args()
    study = Study()
    if chosen.choose:
        choose(study)
        return
    for way in chosen.ways:
        _how, sizes, most, _settings = WAYS[way]
        for shop in chosen.shops:
            for count in sizes:
                row = measure(study, shop, way, count, min(chosen.draws, most))
                print(f"{shop:17} {way:48} {count:2}  shop {row['shop_accuracy']:.1%} ± {row['shop_spread']:.1%}  "
                      f"general {row['general_accuracy']:.1%} ± {row['general_spread']:.1%}  {row['seconds']:.2f} s",
                      flush=True)
                common.keep("assistant.json", row, ("shop", "way", "corrections"),
                            settings={"C": PENALTY, "weight": WEIGHT})


if __name__ == "__main__":
    main()
