"""Labelled texts as a ``datasets.DatasetDict``: shipped, the reader's own CSV, or from the hub."""

import csv
import io
import random
from collections import Counter, defaultdict
from pathlib import Path

from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, disable_progress_bars, load_dataset

from . import resources

disable_progress_bars()  # a `map` over texts of this size takes less time than reading its bar

SPLITS = ("train", "validation", "test")
SHIPPED = ("reviews",)
HUB_COLUMNS = {"stanfordnlp/sst2": ("sentence", "label")}
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}  # where a CSV brings no split of its own


class DataError(ValueError):
    """Labelled texts that cannot be used; the message names the file, the row and what to mend."""


def load(name="reviews", text_column="text", label_column="label", split_column="split", seed=0):
    """Load labelled texts.

    Parameters
    ----------
    name : str
        ``"reviews"`` (shipped), the path of a CSV file (relative to where the notebook or command runs), or
        a hub name such as ``"stanfordnlp/sst2"`` or ``"cornell-movie-review-data/rotten_tomatoes"``.
    text_column, label_column : str
        Names of the two columns that matter. Other columns of a CSV are ignored, save the split's.
    split_column : str
        If the CSV has a column of this name it says ``train``, ``validation`` or ``test`` for each row.
        Without one, rows are split 70 / 10 / 20, each label alike, equal texts kept in one split.
    seed : int
        For the split, where one has to be made.

    Returns
    -------
    datasets.DatasetDict
        ``train``, ``validation`` and ``test``, each with ``text`` (str) and ``label`` (``ClassLabel``, names in
        alphabetical order); the shipped reviews also carry ``id`` and ``pair`` (str, empty outside a pair).

    Raises
    ------
    DataError
        A file that is missing, empty, not UTF-8, without the named columns, with a row of the wrong width, an
        empty text or label, an unknown split, a single label, a label that training lacks, or a text that
        stands in two splits. Nothing is ever dropped silently.
    ResourceError
        A hub data set that cannot be had, or a shipped file that was changed.
    """
    if name in SHIPPED:
        rows = read_csv(resources.shipped(f"{name}.csv"), label_names=("negative", "positive"))
        return _dataset_dict(rows, extra=("id", "pair"))
    if name.lower().endswith((".csv", ".tsv", ".txt")) or Path(name).exists():
        rows = read_csv(name, text_column, label_column, split_column)
        if "split" not in rows[0]:
            _split(rows, name, seed)
        _check_splits(rows, name)
        return _dataset_dict(rows)
    if resources.HUB_NAME.fullmatch(name):
        return _from_hub(name, text_column, label_column, seed)
    raise DataError(f"Unknown data '{name}'. Possible are {', '.join(map(repr, SHIPPED))}, the path of a CSV file, "
                    "or a hub name such as 'stanfordnlp/sst2'.")


def available(name):
    """Return the name of a data set after making sure that it can be had.

    Parameters
    ----------
    name : str
        As in ``load``.

    Raises
    ------
    DataError, ResourceError
    """
    if name not in SHIPPED and not Path(name).exists() and resources.HUB_NAME.fullmatch(name):
        resources.hub_folder(name, "dataset")
    else:
        load(name)
    return name


def read_csv(path, text_column="text", label_column="label", split_column="split", label_names=None):
    """Read and check a CSV file of labelled texts.

    Parameters
    ----------
    path : str or Path
    text_column, label_column, split_column : str
    label_names : sequence of str, optional
        The labels that may occur; any other is an error.

    Returns
    -------
    list of dict
        One per row, with ``text``, ``label``, ``row`` (its line in the file), ``split`` if the file has that
        column, and every other column under its own name.

    Raises
    ------
    DataError
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file (looked from {_where(path)}).")
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[:error.start].count(b"\n") + 1
        raise DataError(f"{path}, row {line}: the text is not UTF-8; save the file as 'CSV UTF-8'.") from error
    if "\x00" in content:
        line = content[:content.index("\x00")].count("\n") + 1
        raise DataError(f"{path}, row {line}: a NUL character; this is not a text file, save it as 'CSV UTF-8'.")
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    rows, header, start = [], None, 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not cells:
                continue  # a blank line holds no row
            if header is None:
                header = _checked_header(cells, path, text_column, label_column)
                continue
            if len(cells) != len(header):
                raise DataError(f"{path}, row {line}: {len(cells)} columns where the header has {len(header)}; "
                                "a text with a comma in it needs quotes around it.")
            row = dict(zip(header, cells, strict=True))
            rows.append(_checked_row(row, path, line, text_column, label_column, split_column, label_names))
    except csv.Error as error:
        raise DataError(f"{path}, row {start}: not a well-formed CSV row ({error}); "
                        "look for a quote that is not closed.") from error
    if header is None:
        raise DataError(f"{path}: the file is empty.")
    if not rows:
        raise DataError(f"{path}: there is a header and no row below it.")
    labels = sorted({row["label"] for row in rows})
    if len(labels) < 2:
        raise DataError(f"{path}: every row has the label '{labels[0]}'; a classifier needs at least two.")
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


def _where(path):
    return "this path" if path.is_absolute() else f"the folder {Path.cwd().name!r} that this runs in"


def _checked_header(cells, path, text_column, label_column):
    header = [cell.strip() for cell in cells]
    for wanted, argument in ((text_column, "text_column"), (label_column, "label_column")):
        if wanted not in header:
            raise DataError(f"{path}: no column '{wanted}'; the columns are {', '.join(header)}. "
                            f"Name the right one with {argument}=….")
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(f"{path}: two columns are named '{twice[0]}'.")
    return header


def _checked_row(row, path, line, text_column, label_column, split_column, label_names):
    text, label = row.pop(text_column).strip(), row.pop(label_column).strip()
    if not text:
        raise DataError(f"{path}, row {line}: the text is empty; remove the row or write its text.")
    if not label:
        raise DataError(f"{path}, row {line}: the label is empty; remove the row or give its label.")
    if label_names and label not in label_names:
        raise DataError(f"{path}, row {line}: unknown label '{label}'; possible are {', '.join(label_names)}.")
    checked = {"text": text, "label": label, "row": line}
    if split_column in row:
        split = row.pop(split_column).strip()
        if split not in SPLITS:
            raise DataError(f"{path}, row {line}: unknown split '{split}'; possible are {', '.join(SPLITS)}.")
        checked["split"] = split
    return {**row, **checked}


def _split(rows, path, seed):
    """Give each row a split: equal texts together, each label in the same shares."""
    groups = defaultdict(list)
    for row in rows:
        groups[" ".join(row["text"].lower().split())].append(row)
    by_label = defaultdict(list)
    for group in groups.values():
        labels = {row["label"] for row in group}
        if len(labels) > 1:
            a, b = group[0], next(row for row in group if row["label"] != group[0]["label"])
            raise DataError(f"{path}, rows {a['row']} and {b['row']}: the same text is labelled '{a['label']}' and "
                            f"'{b['label']}'; decide which is right.")
        by_label[group[0]["label"]].append(group)
    rng = random.Random(seed)
    for label, members in sorted(by_label.items()):
        if len(members) < 3:
            raise DataError(f"{path}: label '{label}' has {len(members)} different texts; a split into train, "
                            "validation and test needs at least 3 of each label.")
        rng.shuffle(members)
        test = max(1, round(SHARES["test"] * len(members)))
        validation = max(1, round(SHARES["validation"] * len(members)))
        for place, group in enumerate(members):
            split = "test" if place < test else "validation" if place < test + validation else "train"
            for row in group:
                row["split"] = split


def _check_splits(rows, path):
    for split in SPLITS:
        if not any(row["split"] == split for row in rows):
            raise DataError(f"{path}: no row has the split '{split}'; give each row one of {', '.join(SPLITS)}, or "
                            "leave the column out and a split is made.")
    trained = {row["label"] for row in rows if row["split"] == "train"}
    if len(trained) < 2:
        raise DataError(f"{path}: every training row has the label '{min(trained)}'; a classifier needs two.")
    first = {}
    for row in rows:
        if row["label"] not in trained:
            raise DataError(f"{path}, row {row['row']}: unknown label '{row['label']}': no training row has it.")
        seen = first.setdefault(" ".join(row["text"].lower().split()), row)
        if seen["split"] != row["split"]:
            raise DataError(f"{path}, rows {seen['row']} and {row['row']}: the same text stands in '{seen['split']}' "
                            f"and '{row['split']}', so a score would be partly memory; keep it in one of them.")


def _dataset_dict(rows, extra=()):
    names = sorted({row["label"] for row in rows})
    features = Features({**{name: Value("string") for name in extra},
                         "text": Value("string"), "label": ClassLabel(names=names)})
    number = {name: i for i, name in enumerate(names)}
    splits = {}
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        columns = {name: [row[name] for row in chosen] for name in (*extra, "text")}
        columns["label"] = [number[row["label"]] for row in chosen]
        splits[split] = Dataset.from_dict(columns, features=features)
    return DatasetDict(splits)


def _from_hub(name, text_column, label_column, seed):
    text_column, label_column = HUB_COLUMNS.get(name, (text_column, label_column))
    folder = resources.hub_folder(name, "dataset")
    try:
        found = load_dataset(str(folder))
    except Exception as error:
        raise DataError(f"The data set '{name}' cannot be read ({type(error).__name__}: {error}).") from error
    if "train" not in found:
        raise DataError(f"The data set '{name}' has no split 'train' (it has {', '.join(found)}).")
    for column, argument in ((text_column, "text_column"), (label_column, "label_column")):
        if column not in found["train"].column_names:
            raise DataError(f"The data set '{name}' has no column '{column}'; its columns are "
                            f"{', '.join(found['train'].column_names)}. Name the right one with {argument}=….")
    splits = {split: found[split].select_columns([text_column, label_column])
              for split in SPLITS if split in found}
    splits = {split: rows.rename_columns({a: b for a, b in ((text_column, "text"), (label_column, "label")) if a != b})
              for split, rows in splits.items()}
    if not isinstance(splits["train"].features["label"], ClassLabel):
        splits = {split: rows.class_encode_column("label") for split, rows in splits.items()}
    # Some hub sets hide the labels of their test split (SST-2: all -1). Then validation is the test set.
    if "test" in splits and min(splits["test"]["label"]) < 0:
        del splits["test"]
    if "test" not in splits:
        if "validation" not in splits:
            raise DataError(f"The data set '{name}' has neither a labelled test nor a validation split.")
        splits["test"] = splits.pop("validation")
    if "validation" not in splits:
        parts = splits["train"].train_test_split(test_size=0.1, seed=seed, stratify_by_column="label")
        splits["train"], splits["validation"] = parts["train"], parts["test"]
    return DatasetDict({split: splits[split] for split in SPLITS})
