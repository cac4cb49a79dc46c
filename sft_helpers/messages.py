"""Customer messages, and the shops that they are sent to: what the assistant of lesson 13 learns from."""

import string
import tomllib
from dataclasses import dataclass
from pathlib import Path

from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from . import data, resources

INTENTS = ("account_access", "booking_change", "cancel", "complaint", "delivery_problem", "invoice", "opening_hours",
           "order_status", "payment_problem", "product_question", "refund", "return", "stock", "thanks")
OUT_OF_SCOPE = "out_of_scope"
SENTIMENTS = ("negative", "neutral", "positive")
SHOPS = ("bicycle_workshop", "language_school", "plant_nursery")
SHIPPED = "messages"


class ShopError(ValueError):
    """A shop's file that cannot be used; the message names the file and what to mend."""


@dataclass(frozen=True)
class Shop:
    """What an assistant knows of the shop that it answers for.

    Attributes
    ----------
    name, trade : str
    glossary : dict from str to str
        Words of the trade and what they mean; for people, not for the model.
    facts : dict from str to str
        What replies may state.
    tone : dict from str to str
        How a reply begins, for each of ``SENTIMENTS``, and under ``handover`` what is said where a person answers.
    replies : dict from str to str
        For each intent a text that may name facts in braces. An intent without one is handed over to a person.
    """

    name: str
    trade: str
    glossary: dict
    facts: dict
    tone: dict
    replies: dict

    def say(self, sentence):
        """Return a sentence with the facts that it names, beginning with a capital letter."""
        said = sentence.format(**self.facts)
        return said[:1].upper() + said[1:]


def load(source=SHIPPED, seed=0):
    """Load customer messages.

    Parameters
    ----------
    source : str or Path
        ``"messages"`` (shipped), or a CSV file with the columns ``text``, ``intent`` and ``sentiment``, and ``split``
        where the split is given (else one is made, as in ``data.load``).
    seed : int
        For the split, where one has to be made.

    Returns
    -------
    datasets.DatasetDict
        ``train``, ``validation`` and ``test`` with the columns ``text``, ``intent`` and ``sentiment`` (str). Messages
        of the intent ``out_of_scope`` stand in validation and test only.

    Raises
    ------
    DataError
        As ``data.load``; also an unknown sentiment, or a training message that is out of scope.
    ResourceError
        The shipped file was changed.
    """
    path = resources.shipped("messages.csv") if str(source) == SHIPPED else Path(source)
    rows = _read(path, data.SPLITS, INTENTS + (OUT_OF_SCOPE,) if str(source) == SHIPPED else None)
    inside, outside = ([row for row in rows if (row.label == OUT_OF_SCOPE) is out] for out in (False, True))
    if not inside:
        raise data.DataError(f"{path}: every message is {OUT_OF_SCOPE!r}; there is nothing to learn.")
    if rows[0].split is None:
        data.split_rows(inside, path, seed)
        places = {key: place for place, key in enumerate(dict.fromkeys(row.key for row in outside))}
        for row in outside:
            place = places[row.key]  # equal texts share it
            row.split = ("test", "validation")[place % 2]
    for row in outside:
        if row.split == "train":
            raise data.DataError(f"{path}, {row.place}: a message of the intent {OUT_OF_SCOPE!r} is for validation or "
                                 "test; nothing is trained on it.")
    data.check_splits(inside, path)
    data.check_texts_apart(rows, path)
    return _dataset_dict(rows, data.SPLITS)


def by_intent(splits):
    """Return messages as texts with a class label each, the intent; those out of scope are left out.

    Parameters
    ----------
    splits : datasets.DatasetDict
        From ``load``.

    Returns
    -------
    datasets.DatasetDict
        With the columns ``text`` and ``label`` (ClassLabel, in alphabetical order).
    """
    intents = sorted(set(splits["train"]["intent"]))
    kinds = Features({"text": Value("string"), "label": ClassLabel(names=intents)})
    found = {}
    for split, rows in splits.items():
        kept = [(text, intents.index(intent)) for text, intent in zip(rows["text"], rows["intent"], strict=True)
                if intent != OUT_OF_SCOPE]
        found[split] = Dataset.from_dict(dict(zip(("text", "label"), map(list, zip(*kept, strict=True)), strict=True)),
                                         features=kinds)
    return DatasetDict(found)


def load_shop(name):
    """Load what is known of a shop.

    Parameters
    ----------
    name : str or Path
        One of ``SHOPS``, or a folder with a ``shop.toml`` in it.

    Returns
    -------
    Shop

    Raises
    ------
    ShopError
        A file that is missing, is not TOML, or lacks a part; a reply that names a fact which is not there, or asks for
        a format of it that it has not.
    ResourceError
        The shipped file was changed.
    """
    path = _file_of(name, "shop.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ShopError(f"{path}: there is no such file; shipped shops are {', '.join(SHOPS)}.") from error
    except OSError as error:
        raise ShopError(f"{path} cannot be read ({error.strerror or error}).") from error
    except ValueError as error:
        raise ShopError(f"{path} is not a TOML file in UTF-8 ({error}).") from error
    return make_shop(content, path)


def make_shop(content, path):
    """Return the shop that the content of a ``shop.toml`` describes; the path is for messages.

    Raises
    ------
    ShopError
    """
    parts = {"name": str, "trade": str, "glossary": dict, "facts": dict, "tone": dict, "replies": dict}
    for part, kind in parts.items():
        if not isinstance(content.get(part), kind):
            raise ShopError(f"{path}: {part!r} is missing or no {'table' if kind is dict else 'text'}.")
        if kind is dict and not all(isinstance(value, str) for value in content[part].values()):
            raise ShopError(f"{path}: every entry of [{part}] has to be a text.")
    unknown = sorted(set(content) - set(parts))
    if unknown:
        raise ShopError(f"{path}: unknown part {unknown[0]!r}; possible are {', '.join(parts)}.")
    for entry in (*SENTIMENTS, "handover"):
        if entry not in content["tone"]:
            raise ShopError(f"{path}: [tone] lacks {entry!r}.")
    for part in ("tone", "replies"):
        for entry, sentence in content[part].items():
            _check_sentence(sentence, content["facts"], f"{path}: [{part}] {entry}")
    return Shop(**content)


def load_shop_messages(name, intents=None):
    """Load the messages of a shop.

    Parameters
    ----------
    name : str or Path
        As in ``load_shop``; the messages stand in ``messages.csv`` beside the ``shop.toml``.
    intents : list of str, optional
        The intents that may occur; any other is an error.

    Returns
    -------
    datasets.DatasetDict
        ``corrections`` (what the owner may teach) and ``test``; columns as in ``load``.

    Raises
    ------
    DataError, ResourceError
        As ``load``.
    """
    path, splits = _file_of(name, "messages.csv"), ("corrections", "test")
    rows = _read(path, splits, intents)
    if rows[0].split is None:
        raise data.DataError(f"{path}: no column 'split'; each message of a shop is for {' or '.join(splits)}.")
    data.check_texts_apart(rows, path, splits)
    return _dataset_dict(rows, splits)


def _file_of(name, file):
    if name in SHOPS:
        return resources.shipped(f"shops/{name}/{file}")
    return Path(name).expanduser() / file


def _check_sentence(sentence, facts, where):
    try:
        named = [field for _, field, _, _ in string.Formatter().parse(sentence) if field is not None]
    except ValueError as error:
        raise ShopError(f"{where}: a brace is not closed or not opened ({error}); write {{{{ for a brace.") from error
    for field in named:
        if field not in facts:
            raise ShopError(f"{where} names {{{field}}}, which is not among the [facts]: {', '.join(facts)}.")
    try:
        sentence.format(**facts)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ShopError(f"{where}: a fact cannot be put in as asked ({error}); write nothing but its name between the "
                        "braces.") from error


def _read(path, splits, intents):
    rows = data.read_csv(path, label_column="intent", label_names=intents, splits=splits, least_labels=1)
    data.check_labels_agree(rows, path)
    for row in rows:
        # capitals in the header do no harm; where two differ in nothing else, "sentiment" comes last and is taken
        row.other = {name.lower(): cell.strip() for name, cell in sorted((row.other or {}).items())}
        sentiment = row.other.get("sentiment")
        if sentiment is None:
            raise data.DataError(f"{path}: no column 'sentiment'; it says {', '.join(SENTIMENTS)}.")
        if sentiment not in SENTIMENTS:
            raise data.DataError(f"{path}, {row.place}: unknown sentiment {sentiment[:40]!r}; possible are "
                                 f"{', '.join(SENTIMENTS)}.")
    return rows


def _dataset_dict(rows, splits):
    parts = {}
    for split in splits:
        chosen = [row for row in rows if row.split == split]
        parts[split] = Dataset.from_dict({"text": [row.text for row in chosen],
                                          "intent": [row.label for row in chosen],
                                          "sentiment": [row.other["sentiment"] for row in chosen]})
    assert sum(map(len, parts.values())) == len(rows)  # nothing is dropped
    return DatasetDict(parts)
