"""Labelled texts as a ``datasets.DatasetDict``: shipped, the reader's own CSV, or from the hub."""

import csv
import io
import os
import random
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, disable_progress_bars, load_dataset

from . import resources

disable_progress_bars()  # a `map` over texts of this size takes less time than reading its bar

SPLITS = ("train", "validation", "test")
SHIPPED = ("reviews",)
HUB_COLUMNS = {"stanfordnlp/sst2": ("sentence", "label")}
SHARES = {"test": 0.2, "validation": 0.1}  # where a CSV brings no split of its own; the rest is for training
LONGEST_FIELD = 10_000_000  # characters


class DataError(ValueError):
    """Labelled texts that cannot be used; the message names the file, the row and what to mend."""


@dataclass(slots=True)
class Row:
    """One labelled text; `place` says where it stands, for messages."""

    text: str
    label: str
    place: str
    split: str | None = None
    other: dict | None = None

    @property
    def key(self):
        """The text as compared with others."""
        return comparable(self.text)


def comparable(text):
    """Return a text as it is compared with others: case, blanks and how its accents are encoded aside."""
    text = unicodedata.normalize("NFC", text)
    return " ".join(text.lower().split())


def load(name="reviews", text_column="text", label_column="label", split_column=None, seed=0):
    """Load labelled texts.

    Parameters
    ----------
    name : str or Path
        ``"reviews"`` (shipped), the path of a CSV file (relative to where the notebook or command runs), or
        a hub name such as ``"stanfordnlp/sst2"`` or ``"cornell-movie-review-data/rotten_tomatoes"``.
    text_column, label_column : str
        Names of the two columns that matter, capitals aside. Other columns of a CSV are ignored, save the split's.
    split_column : str, optional
        The column that says ``train``, ``validation`` or ``test`` for each row; by default ``split``, where there
        is one. Without one, rows are split 70 / 10 / 20, each label alike, equal texts kept in one split. The shipped
        reviews bring columns and splits of their own, a hub set its splits: naming others there is an error.
    seed : int
        For the split, where one has to be made.

    Returns
    -------
    datasets.DatasetDict
        ``train``, ``validation`` and ``test``, each with ``text`` (str) and ``label`` (``ClassLabel``, names in
        alphabetical order, or as a hub set declares them); the shipped reviews also carry ``id`` and ``pair``
        (str, empty outside a pair).

    Raises
    ------
    DataError
        A file that is missing, unreadable, empty, not UTF-8, without the named columns, with a row of the wrong
        width, an empty text or label, an unknown split, a single label, a label that is written in two ways or that
        training lacks, one text under two labels, or a text that stands in two splits. Nothing is ever dropped
        silently.
    ResourceError
        A hub data set that cannot be had, or a shipped file that was changed.

    Notes
    -----
    Splits that a hub data set was published with are taken as they are, repeated texts included. Where its test
    labels are hidden (SST-2: all -1), validation becomes the test set and a part of train the validation set.
    """
    name = str(name)
    if name in SHIPPED:
        if (text_column, label_column, split_column) != ("text", "label", None):
            raise DataError(f"The shipped {name!r} have columns and splits of their own: name no columns for them.")
        rows = read_csv(resources.shipped(f"{name}.csv"), label_names=("negative", "positive"))
        return _dataset_dict(rows, extra=("id", "pair"))
    if is_path(name):
        path = Path(os.path.expanduser(name))
        rows = read_csv(path, text_column, label_column, split_column, column_arguments=True)
        check_labels_agree(rows, path)
        if rows[0].split is None:
            split_rows(rows, path, seed, SHARES)
        check_splits(rows, path)
        return _dataset_dict(rows)
    if resources.HUB_NAME.fullmatch(name):
        if split_column is not None:
            raise DataError(f"The data set '{name}' has splits of its own: leave split_column out.")
        return _from_hub(name, text_column, label_column, seed)
    raise DataError(f"Unknown data {_short(name)}. Possible are {', '.join(map(repr, SHIPPED))}, the path of a CSV "
                    "file, or a hub name such as 'stanfordnlp/sst2'.")


def load_files(train, validation=None, test=None, text_column="text", label_column="label", seed=0):
    """Load labelled texts from a CSV file for each split.

    Parameters
    ----------
    train : str or Path
    validation, test : str or Path, optional
        Without validation file every tenth training text is kept for it, each label alike.
    text_column, label_column : str
    seed : int
        For that choice.

    Returns
    -------
    datasets.DatasetDict
        ``train``, ``validation`` and, where there is a file for it, ``test``; columns as in ``load``.

    Raises
    ------
    DataError
        As ``load``, but only the training file needs two labels; a text under two labels or in two splits is found
        across the files as well.
    """
    rows = []
    for split, path in (("train", train), ("validation", validation), ("test", test)):
        if path is None:
            continue
        for row in read_csv(path, text_column, label_column, least_labels=2 if split == "train" else 1,
                            column_arguments=True):
            if row.split not in (None, split):
                raise DataError(f"{path}, {row.place}: the column 'split' says '{row.split}', but the file is given "
                                f"for '{split}'. Give the file alone, or without that column.")
            row.split, row.place = split, f"{Path(path).name} {row.place}"
            rows.append(row)
    where = "the files given"
    check_labels_agree(rows, where)
    if validation is None:
        own = [row for row in rows if row.split == "train"]
        split_rows(own, where, seed, {"validation": 0.1})
    check_splits(rows, where, {row.split for row in rows})
    splits = _dataset_dict(rows)
    return DatasetDict({split: part for split, part in splits.items() if len(part)})


def read_csv(path, text_column="text", label_column="label", split_column=None, label_names=None, splits=SPLITS,
             least_labels=2, column_arguments=False):
    """Read and check a CSV file of labelled texts.

    Parameters
    ----------
    path : str or Path
    text_column, label_column : str
    split_column : str, optional
        By default ``split``, where the file has such a column.
    label_names : sequence of str, optional
        The labels that may occur; any other is an error.
    splits : sequence of str
        The splits that may occur.
    least_labels : int
        How many different labels there have to be.
    column_arguments : bool
        Whether the reader can name the columns with ``text_column=`` and ``label_column=``: then the message about one
        that is missing says so.

    Returns
    -------
    list of Row
        One per row of the file.

    Raises
    ------
    DataError
    """
    path = Path(os.path.expanduser(path))  # unlike Path.expanduser it leaves an unknown user's home as it is
    csv.field_size_limit(LONGEST_FIELD)
    # read from the bytes as they are: a large file should not stand in memory twice
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(_content(path)), "utf-8-sig", newline=""), strict=True)
    rows, header, columns, start = [], None, None, 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells) and len(cells) <= 1:
                continue  # a blank line holds no row
            if header is None:
                header = [cell.strip() for cell in cells]
                columns = _columns(header, path, text_column, label_column, split_column, column_arguments)
                continue
            if len(cells) != len(header):
                hint = ("a text with a comma in it needs quotes around it" if len(cells) > len(header) else
                        "a column is missing")
                raise DataError(f"{path}, row {line}: {len(cells)} columns where the header has {len(header)}; {hint}.")
            rows.append(_row(cells, header, columns, path, line, label_names, splits))
    except csv.Error as error:
        hint = "a field is too long" if "field larger" in str(error) else "look for a quote that is not closed"
        raise DataError(f"{path}, row {start}: not a well-formed CSV row ({error}); {hint}.") from error
    if header is None:
        raise DataError(f"{path}: the file is empty.")
    if not rows:
        raise DataError(f"{path}: there is a header and no row below it.")
    labels = sorted({row.label for row in rows})
    if len(labels) < least_labels:
        raise DataError(f"{path}: every row has the label {_short(labels[0])}; a classifier needs at least two.")
    return rows


def pairs(split):
    """Return the contrast pairs of a split.

    Parameters
    ----------
    split : datasets.Dataset
        With the columns ``pair`` and ``label``.

    Returns
    -------
    list of (int, int)
        Row numbers of the positive and of the negative half, in the order of the file. Empty for data
        that has no pairs.
    """
    if "pair" not in split.column_names:
        return []
    positive = split.features["label"].str2int("positive")
    halves = defaultdict(dict)
    for row, (pair, label) in enumerate(zip(split["pair"], split["label"], strict=True)):
        if pair:
            halves[pair]["positive" if label == positive else "negative"] = row
    return [(half["positive"], half["negative"]) for half in halves.values()]


def outside_pairs(split):
    """Return which rows of a split are ordinary, that is, not half of a contrast pair.

    Parameters
    ----------
    split : datasets.Dataset

    Returns
    -------
    ndarray of bool, shape (len(split),)
    """
    ordinary = np.ones(len(split), dtype=bool)
    ordinary[[row for pair in pairs(split) for row in pair]] = False
    return ordinary


def stubborn_pair():
    """Return the two halves of the course's stubborn pair, positive first.

    The rule, fixed before anything was trained: among the contrast pairs of the shipped reviews' test split whose
    halves are built of exactly the same words, order aside, take the longest; at equal length the first.

    Returns
    -------
    tuple of str
    """
    split = load("reviews")["test"]
    texts = list(split["text"])
    same = [(texts[a], texts[b]) for a, b in pairs(split)
            if Counter(_words(texts[a])) == Counter(_words(texts[b]))]
    return max(same, key=lambda halves: len(_words(halves[0])))


def _words(text):
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower().replace("’", "'")).split()


def _short(value):
    """A value for a message: on one line, and not too long."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:56] + "…'"


def is_path(name):
    """Return whether a name is a path: it ends like a CSV file's, or something is there."""
    if name.lower().endswith((".csv", ".tsv", ".txt")):
        return True
    try:
        return bool(name) and Path(os.path.expanduser(name)).exists()
    except OSError:  # a name too long for a path
        return False


def _content(path):
    where = "this path" if path.is_absolute() else f"the folder {Path.cwd().name!r} that this runs in"
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder; name the CSV file in it.")
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file (looked from {where}).") from error
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror or error}).") from error
    try:
        raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(raw[:error.start].splitlines() or [b""]) + raw[:error.start].endswith((b"\n", b"\r"))
        raise DataError(f"{path}, row {line}: the text is not UTF-8; save the file as 'CSV UTF-8'.") from error
    if b"\x00" in raw:
        line = raw[:raw.index(b"\x00")].count(b"\n") + 1
        raise DataError(f"{path}, row {line}: a NUL character; this is not a text file, save it as 'CSV UTF-8'.")
    return raw


def _columns(header, path, text_column, label_column, split_column, column_arguments):
    """Return the places of the text, label and split columns (the last may be None)."""
    places = {}
    for role, wanted in (("text", text_column), ("label", label_column), ("split", split_column or "split")):
        found = ([i for i, name in enumerate(header) if name == wanted] or
                 [i for i, name in enumerate(header) if name.lower() == wanted.lower()])
        if len(found) > 1:
            raise DataError(f"{path}: two columns are named {_short(header[found[0]])}; rename one of them.")
        if not found and role == "split" and split_column is None:
            places[role] = None
            continue
        if not found:
            joined = ", ".join(map(_short, header[:8]))
            separator = next((name for mark, name in ((";", "semicolons"), ("\t", "tabs")) if mark in header[0]), None)
            if len(header) == 1 and separator:
                raise DataError(f"{path}: the columns are separated by {separator}; save the file with commas.")
            hint = f", or give its name with {role}_column=…" if column_arguments else ""
            raise DataError(f"{path}: no column {wanted!r}; the columns are {joined}. Rename the right one to "
                            f"{wanted!r}{hint}.")
        places[role] = found[0]
    if places["text"] == places["label"]:
        raise DataError(f"{path}: text and label cannot be the same column {text_column!r}.")
    return places


def _row(cells, header, columns, path, line, label_names, splits):
    text, label = cells[columns["text"]].strip(), cells[columns["label"]].strip()
    if not text:
        raise DataError(f"{path}, row {line}: the text is empty; remove the row or write its text.")
    if not label:
        raise DataError(f"{path}, row {line}: the label is empty; remove the row or give its label.")
    if label_names and label not in label_names:
        raise DataError(f"{path}, row {line}: unknown label {_short(label)}; possible are {', '.join(label_names)}.")
    split = None
    if columns["split"] is not None:
        split = cells[columns["split"]].strip().lower()
        if split not in splits:
            raise DataError(f"{path}, row {line}: unknown split {_short(cells[columns['split']])}; possible are "
                            f"{', '.join(splits)}.")
    used = set(columns.values())
    other = {name: cell for i, (name, cell) in enumerate(zip(header, cells, strict=True)) if i not in used} or None
    return Row(text, label, f"row {line}", split, other)


def check_labels_agree(rows, path):
    """Raise DataError if one label is written in two ways, or one text stands under two labels."""
    first, spelt = {}, {}
    for row in rows:
        seen = spelt.setdefault(comparable(row.label), row)
        if seen.label != row.label:
            raise DataError(f"{path}, {seen.place} and {row.place}: the labels {_short(seen.label)} and "
                            f"{_short(row.label)} differ in nothing but capitals or blanks; write them alike.")
        seen = first.setdefault(row.key, row)
        if seen.label != row.label:
            raise DataError(f"{path}, {seen.place} and {row.place}: the same text is labelled {_short(seen.label)} and "
                            f"{_short(row.label)}; decide which is right.")


def split_rows(rows, path, seed, shares=SHARES):
    """Give each row a split: equal texts together, each label in the same shares."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.key].append(row)
    by_label = defaultdict(list)
    for group in groups.values():
        by_label[group[0].label].append(group)
    rng = random.Random(seed)
    for label, members in sorted(by_label.items()):
        if len(members) < len(shares) + 1:
            raise DataError(f"{path}: label {_short(label)} has {len(members)} different texts; a split into "
                            f"{', '.join(shares)} and train needs at least {len(shares) + 1} of each label.")
        rng.shuffle(members)
        cuts = [split for split, share in shares.items() for _text in range(max(1, round(share * len(members))))]
        for place, group in enumerate(members):
            for row in group:
                row.split = cuts[place] if place < len(cuts) else "train"


def check_splits(rows, path, splits=SPLITS):
    """Raise DataError if a split is empty, a text stands in two, or training lacks a label or has only one."""
    check_texts_apart(rows, path, splits, ", or leave the column out and a split is made")
    trained = {row.label for row in rows if row.split == "train"}
    if len(trained) < 2:
        raise DataError(f"{path}: every training row has the label {_short(min(trained))}; a classifier needs two.")
    for row in rows:
        if row.label not in trained:
            raise DataError(f"{path}, {row.place}: unknown label {_short(row.label)}: no training row has it.")


def check_texts_apart(rows, path, splits=SPLITS, or_else=""):
    """Raise DataError if a split is empty (``or_else``: another way out) or a text stands in two."""
    for split in splits:
        if not any(row.split == split for row in rows):
            raise DataError(f"{path}: no row has the split '{split}'; give each row one of "
                            f"{', '.join(splits)}{or_else}.")
    first = {}
    for row in rows:
        seen = first.setdefault(row.key, row)
        if seen.split != row.split:
            raise DataError(f"{path}, {seen.place} and {row.place}: the same text stands in '{seen.split}' and "
                            f"'{row.split}', so a score would be partly memory; keep it in one of them.")


def _dataset_dict(rows, extra=(), names=None):
    names = names or sorted({row.label for row in rows})
    features = Features({**{name: Value("string") for name in extra},
                         "text": Value("string"), "label": ClassLabel(names=names)})
    number = {name: i for i, name in enumerate(names)}
    splits = {}
    for split in SPLITS:
        chosen = [row for row in rows if row.split == split]
        columns = {name: [row.other[name] for row in chosen] for name in extra}
        columns["text"] = [row.text for row in chosen]
        columns["label"] = [number[row.label] for row in chosen]
        splits[split] = Dataset.from_dict(columns, features=features)
    assert sum(map(len, splits.values())) == len(rows)  # nothing is dropped
    return DatasetDict(splits)


def _from_hub(name, text_column, label_column, seed):
    if (text_column, label_column) == ("text", "label"):
        text_column, label_column = HUB_COLUMNS.get(name, (text_column, label_column))
    folder = resources.hub_folder(name, "dataset")
    try:
        found = load_dataset(str(folder))
    except Exception as error:
        raise DataError(f"The data set '{name}' cannot be read ({type(error).__name__}: "
                        f"{' '.join(str(error).split())[:200]}).") from error
    if "train" not in found:
        raise DataError(f"The data set '{name}' has no split 'train' (it has {', '.join(found)}).")
    for column, argument in ((text_column, "text_column"), (label_column, "label_column")):
        if column not in found["train"].column_names:
            raise DataError(f"The data set '{name}' has no column '{column}'; its columns are "
                            f"{', '.join(found['train'].column_names)}. Name the right one with {argument}=….")
    kind = found["train"].features[label_column]
    names = kind.names if isinstance(kind, ClassLabel) else None
    parts = {split: _hub_rows(name, split, found[split], text_column, label_column, names)
             for split in SPLITS if split in found}
    if "test" in parts and all(row.label in (None, "-1") for row in parts["test"]):
        del parts["test"]  # its labels are hidden
    for rows in parts.values():
        for row in rows:
            if row.label is None:
                raise DataError(f"The data set '{name}', {row.place}: the label is missing.")
    if "test" not in parts:
        if "validation" not in parts:
            raise DataError(f"The data set '{name}' has neither a labelled test nor a validation split.")
        parts["test"] = parts.pop("validation")
    if "validation" not in parts:
        split_rows(parts["train"], f"The data set '{name}'", seed, {"validation": 0.1})
        parts["validation"] = []  # its rows stand among those of train, with their split written on them
    for row in parts["test"]:
        row.split = "test"
    rows = [row for part in parts.values() for row in part]
    trained = {row.label for row in rows if row.split == "train"}
    for row in rows:
        if row.label not in trained:
            raise DataError(f"The data set '{name}', {row.place}: unknown label {_short(row.label)}: no training row "
                            "has it.")
    if len(trained) < 2:
        raise DataError(f"The data set '{name}': every training row has one label; a classifier needs two.")
    return _dataset_dict(rows, names=names)


def _hub_rows(name, split, table, text_column, label_column, names):
    rows = []
    for number, (text, label) in enumerate(zip(table[text_column], table[label_column], strict=True)):
        place = f"row {number} of '{split}'"
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"The data set '{name}', {place}: the text is empty or no text.")
        if names:
            label = names[label] if label is not None and label >= 0 else None
        elif label is not None:
            label = str(label).strip() or None
        rows.append(Row(text.strip(), label, place, split))
    return rows
