"""The personal assistant of lesson 13: intent and sentiment of a message, a reply, and what its owner corrects."""

import csv
import io
import json
import math
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from . import data, features, models, resources
from .messages import SENTIMENTS, ShopError, make_shop
from .storage import digest, fits_its_name, write, write_text

FORMAT_VERSION = 1
PENALTY = 0.03  # C of both heads: the best on validation
WEIGHT = 4.0  # of a correction: the heaviest that costs the general messages at most one point on validation
TRIED_WORDS = 40  # of a long message only so many words are left out in turn
UNREADABLE = "I cannot read this message."
EMPTY = "There is nothing to read in this message."


class AssistantError(ValueError):
    """Something the assistant cannot do; the message says why and the way out."""


class Reply(NamedTuple):
    """What the assistant makes of a message.

    Attributes
    ----------
    text : str
        What it answers.
    intent, sentiment : str or None
        What it takes the message for; None where there was nothing to read.
    sure : bool
        False: it says so, and a person answers.
    intents, sentiments : dict from str to float
        Probabilities, highest first.
    """

    text: str
    intent: str | None
    sentiment: str | None
    sure: bool
    intents: dict
    sentiments: dict


class Correction(NamedTuple):
    """A message and the intent that its owner gave it."""

    text: str
    intent: str

    @property
    def key(self):
        """The text as compared with others."""
        return data.comparable(self.text)


class Assistant:
    """A frozen backbone with two heads (intent, sentiment), a shop, and the corrections of its owner.

    A message becomes the mean vectors of its tokens at the backbone's bottom, middle and top, end to end.

    Parameters
    ----------
    backbone : resources.Backbone
    texts, intents, sentiments : list of str
        The general messages. Their vectors are kept, for every correction is learnt beside them.
    shop : messages.Shop
    threshold : float
        How probable an intent has to be for the assistant to answer itself.
    C : float
        Inverse strength of the penalty on both heads, as in scikit-learn.
    weight : float
        How many general messages a correction counts for.

    Raises
    ------
    AssistantError
        A setting outside its range, fewer than two intents, or lists of different length.
    """

    def __init__(self, backbone, texts, intents, sentiments, shop, threshold=0.5, C=PENALTY, weight=WEIGHT):
        texts, intents, sentiments = list(texts), list(intents), list(sentiments)
        if not len(texts) == len(intents) == len(sentiments):
            raise AssistantError(f"{len(texts)} texts, {len(intents)} intents and {len(sentiments)} sentiments: each "
                                 "text has one of each.")
        names = sorted(set(intents))
        if len(names) < 2:
            raise AssistantError("The messages need at least two intents.")
        unknown = sorted(set(sentiments) - set(SENTIMENTS))
        if unknown:
            raise AssistantError(f"Unknown sentiment {unknown[0][:40]!r}; possible are {', '.join(SENTIMENTS)}.")
        self._set(backbone, names, shop, threshold, C, weight)
        self._vectors = self._encode([clean(text) for text in texts])
        self._targets = [names.index(intent) for intent in intents]
        moods = features.fit_head(self._vectors, [SENTIMENTS.index(mood) for mood in sentiments], len(SENTIMENTS), C)
        self._sentiment_head.load_state_dict(dict(zip(("weight", "bias"), moods, strict=True)))
        self._fit()

    def _set(self, backbone, intents, shop, threshold, C, weight):
        for name, value, fine in (("threshold", threshold, 0 <= threshold <= 1), ("C", C, 0 < C < math.inf),
                                  ("weight", weight, 0 < weight < math.inf)):
            if not fine:
                raise AssistantError(f"{name} = {value!r} makes no sense; see help(assistant.Assistant).")
        self.shop, self.threshold, self.C, self.weight = shop, threshold, C, weight
        self.backbone, self.intents = backbone, list(intents)
        self._bert, self._tokenizer = models.load_backbone(backbone), models.load_tokenizer(backbone)
        self._depths = depths(self._bert.config.num_hidden_layers)
        width = len(self._depths) * self._bert.config.hidden_size
        self._intent_head, self._sentiment_head = nn.Linear(width, len(intents)), nn.Linear(width, len(SENTIMENTS))
        self._events, self._known = [], {}  # what was corrected, in order; the vector of each corrected text

    @property
    def corrections(self):
        """The corrections in force, oldest first, list of Correction: of two about one text the later one counts."""
        return list({correction.key: correction for correction in self._events}.values())

    @torch.no_grad()
    def probabilities(self, texts):
        """Return the probability of each intent and of each sentiment.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        Tensor, shape (len(texts), intents)
            In the order of ``intents``.
        Tensor, shape (len(texts), 3)
            In the order of ``messages.SENTIMENTS``.
        """
        vectors = self._encode([clean(text) for text in models.listed(texts)])
        return self._intent_head(vectors).softmax(dim=1), self._sentiment_head(vectors).softmax(dim=1)

    def reply(self, text):
        """Answer a message.

        Parameters
        ----------
        text : str

        Returns
        -------
        Reply

        Raises
        ------
        AssistantError
            Not a text.
        """
        text = clean(text)
        if not text:
            return Reply(EMPTY, None, None, False, {}, {})
        if not self._readable(text):
            return Reply(f"{UNREADABLE} {self.shop.say(self.shop.tone['handover'])}", None, None, False, {}, {})
        of_intents, of_moods = self.probabilities([text])
        by_intent, by_mood = _ranked(self.intents, of_intents[0]), _ranked(SENTIMENTS, of_moods[0])
        intent, mood = next(iter(by_intent)), next(iter(by_mood))
        sure = by_intent[intent] >= self.threshold and intent in self.shop.replies
        sentence = self.shop.replies[intent] if sure else self.shop.tone["handover"]
        return Reply(f"{self.shop.say(self.shop.tone[mood])} {self.shop.say(sentence)}", intent, mood, sure,
                     by_intent, by_mood)

    def words(self, text):
        """Say how much each word speaks for the intent found, by leaving it out (lesson 05).

        Parameters
        ----------
        text : str

        Returns
        -------
        list of (str, float)
            Each word and by how much the log-odds of the intent fall without it. Of a long message only the first
            ``TRIED_WORDS`` words are tried.
        """
        words = clean(text).split()
        if not words:
            return []
        tried = range(min(len(words), TRIED_WORDS))
        variants = [" ".join(words)] + [" ".join(words[:i] + words[i + 1:]) for i in tried]
        found, _ = self.probabilities(variants)
        odds = found.double().logit(eps=1e-9)[:, found[0].argmax()]
        return [(words[i], (odds[0] - odds[i + 1]).item()) for i in tried]

    def learn(self, texts, intents):
        """Take corrections, and learn them beside the general messages.

        Parameters
        ----------
        texts, intents : list of str
            A text corrected before takes its new intent. What is known already is not counted again.

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        AssistantError
            An unknown intent, an empty text, or lists of different length. Then nothing is taken.
        """
        texts, intents = list(texts), list(intents)
        if len(texts) != len(intents):
            raise AssistantError(f"{len(texts)} texts and {len(intents)} intents: each text has one.")
        given = [Correction(clean(text), intent) for text, intent in zip(texts, intents, strict=True)]
        for correction in given:
            if correction.intent not in self.intents:
                raise AssistantError(f"There is no intent {str(correction.intent)[:40]!r}; possible are "
                                     f"{', '.join(self.intents)}.")
            if not correction.text:
                raise AssistantError("An empty message cannot be corrected.")
        in_force = {correction.key: correction.intent for correction in self.corrections}
        new = []
        for correction in given:
            if in_force.get(correction.key) != correction.intent:
                in_force[correction.key] = correction.intent
                new.append(correction)
        if new:
            self._events += new
            self._fit()
        return len(new)

    def undo(self):
        """Take the last correction back; what it replaced is in force again.

        Returns
        -------
        Correction or None
            What was taken back, None where there was none.
        """
        if not self._events:
            return None
        last = self._events.pop()
        self._fit()
        return last

    def export_corrections(self, path):
        """Write the corrections in force as a CSV file with the columns ``text`` and ``intent``.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        StorageError
            The file cannot be written; one that was there before is whole.

        Notes
        -----
        A text that a spreadsheet would take for a formula gets an apostrophe in front, which
        ``import_corrections`` takes away.
        """
        content = io.StringIO(newline="")
        rows = csv.writer(content, lineterminator="\n")
        rows.writerow(("text", "intent"))
        rows.writerows((_guarded(correction.text), correction.intent) for correction in self.corrections)
        write_text(content.getvalue(), path)

    def import_corrections(self, path):
        """Learn the corrections of a CSV file with the columns ``text`` and ``intent``.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        DataError
            As ``data.read_csv``: an unknown intent, or one text under two. Then nothing is taken.
        """
        rows = data.read_csv(path, label_column="intent", label_names=self.intents, least_labels=1)
        data.check_labels_agree(rows, path)
        return self.learn([_unguarded(row.text) for row in rows], [row.label for row in rows])

    def save(self, folder):
        """Write the assistant into a folder; an interruption leaves the one that was there whole.

        Numbers are written first, under a name of their own; ``assistant.json``, which names them, is then replaced
        in one go. The frozen backbone is not copied: its checksum is noted, and checked when loading.

        Parameters
        ----------
        folder : str or Path

        Raises
        ------
        StorageError
        """
        folder = Path(folder)
        tensors = {"intent.weight": self._intent_head.weight, "intent.bias": self._intent_head.bias,
                   "sentiment.weight": self._sentiment_head.weight, "sentiment.bias": self._sentiment_head.bias,
                   "vectors": self._vectors, "targets": torch.tensor(self._targets)}
        tensors = {name: tensor.detach() for name, tensor in tensors.items()}
        stored = write(tensors, None, folder / "numbers.safetensors", named_by_sum=True)
        about = {"format_version": FORMAT_VERSION, "backbone": self.backbone.name,
                 "backbone_sha256": resources.sha256(self.backbone.folder / "model.safetensors"),
                 "intents": self.intents, "threshold": self.threshold, "C": self.C, "weight": self.weight,
                 "shop": vars(self.shop), "corrections": [list(correction) for correction in self._events],
                 "numbers": stored.name}
        write_text(json.dumps({**about, "sha256": digest(about)}, indent=1, ensure_ascii=False) + "\n",
                   folder / "assistant.json")
        for old in folder.glob("numbers-*.safetensors"):
            if old.name != stored.name:
                old.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder):
        """Load an assistant that ``save`` wrote; it gives the same probabilities.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        Assistant

        Raises
        ------
        AssistantError
            A folder that is missing, damaged, foreign or of another format.
        ResourceError
            Its backbone cannot be had.
        """
        about, tensors = _read(Path(folder))
        made = cls.__new__(cls)
        backbone = resources.find_backbone(about["backbone"])
        if resources.sha256(backbone.folder / "model.safetensors") != about["backbone_sha256"]:
            raise AssistantError(f"{folder} was made with other weights of '{about['backbone']}' than those found "
                                 "here.")
        try:
            made._set(backbone, about["intents"], make_shop(about["shop"], Path(folder) / "assistant.json"),
                      about["threshold"], about["C"], about["weight"])
            made._intent_head.load_state_dict({part: tensors[f"intent.{part}"] for part in ("weight", "bias")})
            made._sentiment_head.load_state_dict({part: tensors[f"sentiment.{part}"] for part in ("weight", "bias")})
            made._vectors, made._targets = tensors["vectors"], tensors["targets"].tolist()
            made._events = [Correction(*correction) for correction in about["corrections"]]
        except (KeyError, TypeError, RuntimeError, ShopError) as error:
            raise AssistantError(f"{folder} does not hold what a saved assistant holds ({error}).") from error
        return made

    def _encode(self, texts):
        return models.encode(texts, self._bert, self._tokenizer, depths=self._depths)

    def _fit(self):
        """Fit the intent head to the general messages and the corrections in force."""
        corrections = self.corrections
        new = [c.text for c in corrections if c.text not in self._known]  # all of them, of a loaded assistant
        self._known.update(zip(new, self._encode(new), strict=True))
        vectors = torch.cat([self._vectors, *(self._known[c.text][None] for c in corrections)])
        targets = self._targets + [self.intents.index(c.intent) for c in corrections]
        counts = row_weights(targets, len(corrections), self.weight)
        weight, bias = features.fit_head(vectors, targets, len(self.intents), self.C, counts)
        self._intent_head.load_state_dict({"weight": weight, "bias": bias})

    def _readable(self, text):
        """False if the tokenizer knows no piece of the text (emoji, many scripts)."""
        ids = self._tokenizer(text, add_special_tokens=False, truncation=True,
                              max_length=models.MAX_LENGTH)["input_ids"]
        return any(i != self._tokenizer.unk_token_id for i in ids)


def depths(layers):
    """Return the depths at which the assistant reads a backbone of so many layers: bottom, middle and top.

    References
    ----------
    Devlin et al.: BERT, NAACL 2019, section 5.3: frozen vectors of several layers, put end to end, do better than
    those of the last one.
    """
    return 0, layers // 2, layers


def row_weights(targets, corrections, weight):
    """Return how much each message counts in the fit of the intent head.

    A correction counts ``weight`` times as much as a general message of its intent, and every intent keeps the total
    that it has among the general messages: corrections of a few intents would otherwise say that the others have become
    rare.

    Parameters
    ----------
    targets : list of int, shape (n,)
        The corrections last; every intent occurs among the general messages.
    corrections : int
        How many of them are corrections.
    weight : float

    Returns
    -------
    ndarray, shape (n,)
    """
    targets, general = np.asarray(targets), len(targets) - corrections
    counts = np.ones(len(targets))
    counts[general:] = weight
    share = np.bincount(targets[:general]) / np.bincount(targets, counts)
    return counts * share[targets]


def clean(text):
    """Return a text without control characters (a blank for those that part words), halves of characters, outer blanks.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Raises
    ------
    AssistantError
        Not a text.
    """
    if not isinstance(text, str):
        raise AssistantError(f"A message is a text, not {type(text).__name__}.")
    kept = (c if c in "\t\n" or unicodedata.category(c) not in ("Cc", "Cs") else " " if c.isspace() else ""
            for c in text)
    return "".join(kept).strip()


def _ranked(names, row):
    return {names[i]: row[i].item() for i in row.argsort(descending=True).tolist()}


def _guarded(text):
    needs = text[:1] in tuple("=+-@") or (text[:1] == "'" and text[1:2] in tuple("=+-@'"))
    return f"'{text}" if needs else text


def _unguarded(text):
    return text[1:] if text[:1] == "'" and text[1:2] in tuple("=+-@'") else text


def _read(folder):
    """Return the content of a saved assistant, checked."""
    path = folder / "assistant.json"
    if not path.is_file():
        raise AssistantError(f"{folder} holds no assistant.json: it is not a saved assistant.")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        version, said = about["format_version"], about.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AssistantError(f"{path} is damaged or of another kind.") from error
    if version != FORMAT_VERSION:
        raise AssistantError(f"{path} has format version {version}; this course reads {FORMAT_VERSION}.")
    if said != digest(about):
        raise AssistantError(f"{path} is damaged: its checksum is wrong.")
    numbers = folder / about["numbers"]
    try:
        tensors = load(numbers.read_bytes())  # not mapped: the next save removes the file
    except (OSError, SafetensorError) as error:
        raise AssistantError(f"{numbers} is missing or damaged ({error}).") from error
    if not fits_its_name(numbers):
        raise AssistantError(f"{numbers} is damaged: its checksum is wrong.")
    return about, tensors
