"""Reading written texts: what the tests of the reviews and of the messages share."""

import csv
import re
from collections import defaultdict
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"


def rows_of(name):
    """Return the rows of a file below data/, list of dict."""
    with open(DATA / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def words(text):
    return re.findall(r"[a-z0-9']+", text.lower().replace("’", "'"))


def shingles(text, size=3):
    tokens = words(text)
    return {tuple(tokens[i:i + size]) for i in range(len(tokens) - size + 1)}


def holders_of(texts, owners, size=5):
    """For each sequence of so many words the owners of the texts that it stands in."""
    found = defaultdict(set)
    for text, owner in zip(texts, owners, strict=True):
        for phrase in shingles(text, size):
            found[phrase].add(owner)
    return found


def likeness(texts):
    """Yield (i, j, Jaccard similarity of the 3-word shingles) for each two texts that share a shingle, i < j."""
    sets = [shingles(text) for text in texts]
    candidates = {(i, j) for members in holders_of(texts, range(len(texts)), 3).values()
                  for i in members for j in members if i < j}
    for i, j in candidates:
        yield i, j, len(sets[i] & sets[j]) / len(sets[i] | sets[j])
