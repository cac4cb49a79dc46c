"""Right and wrong answers to the exercises of lessons 01 to 04, each wrong one with a part of its hint."""

import math

import numpy as np
import torch

from sft_helpers.text import preprocess_text, tokenize

STOP = {"the", "was", "and", "they", "us", "it", "is", "not", "never", "n't", "no"}


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def dot(W, a):
    return sum(w * x for w, x in zip(W, a, strict=True))


def entropy(p, y):
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def standardise(train, new, ddof=0):
    mean, std = train.mean(axis=0), train.std(axis=0, ddof=ddof)
    return (train - mean) / std, (new - mean) / std


def keep(*saved):
    return lambda text: preprocess_text(text, STOP - set(saved))


def unknown_rate(train, test):
    known = {token for tokens in train for token in tokens}
    flat = [token for tokens in test for token in tokens]
    return sum(token not in known for token in flat) / len(flat)


def masked_mean(values, mask):
    return (values * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)


def cosine(u, v):
    return u @ v / (np.linalg.norm(u) * np.linalg.norm(v))


def skipgram(tokens, window):
    return [(tokens[i], tokens[j]) for i in range(len(tokens))
            for j in range(max(0, i - window), min(len(tokens), i + window + 1)) if j != i]


def nearest(word, vectors, key=None):
    key = key or (lambda w: -cosine(vectors[word], vectors[w]))
    return sorted((w for w in vectors if w != word), key=key)


RIGHT = {
    "01.1": [lambda W, a, b: sigmoid(dot(W, a) + b)],
    "01.2": [entropy],
    "01.3": [tuple(torch.tensor(part, dtype=torch.float64, requires_grad=True)
                   for part in ([[1, 1], [1, 1]], [0, -1], [1, -2], 0)),
             ([[1, 1], [1, 1]], [0, -1], [1, -2], 0), ([[1, -1], [-1, 1]], [0, 0], [1, 1], 0)],
    "02.1": [lambda n, b, e: math.ceil(n / b) * e],
    "02.2": [lambda w, v, g, lr, mu: (w - lr * (mu * v + g), mu * v + g)],
    "02.3": [standardise, lambda train, new: standardise(train, new, ddof=1)],
    "03.1": [keep("not", "never", "no", "n't")],
    "03.2": [unknown_rate],
    "03.3": [masked_mean, lambda values, mask: torch.tensor(masked_mean(values, mask)).unsqueeze(1)],
    "04.1": [cosine, lambda u, v: torch.cosine_similarity(torch.tensor(u), torch.tensor(v), dim=0)],
    "04.2": [skipgram, lambda tokens, window: np.array(skipgram(tokens, window)), lambda t, w: iter(skipgram(t, w))],
    "04.3": [nearest],
}

WRONG = {
    "01.1": [(lambda W, a, b: dot(W, a) + b, "weighted sum"),
             (lambda W, a, b: sigmoid(dot(W, a)), "bias b is missing"),
             (lambda W, a, b: sigmoid(-dot(W, a) - b), "sign in the exponent"),
             (lambda W, a, b: math.tanh(dot(W, a) + b), "that is tanh"),
             (lambda W, a, b: sigmoid(W[0] * a[0] + W[1] * a[1] + W[2] * a[2] + b), "works for three inputs"),
             (lambda W, a, b: sigmoid(W @ a + b), "TypeError"),
             (lambda W, a, b: print(end=""), "gives back nothing"),
             (lambda W, a, b: str(sigmoid(dot(W, a) + b)), "not text"),
             (lambda W, a, b: exit(), "SystemExit"), (0.5, "without calling it")],
    "01.2": [(lambda p, y: -np.mean(y * np.log(p)), "a term of their own"),
             (lambda p, y: np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), "minus sign"),
             (lambda p, y: len(p) * entropy(p, y), "this is the sum"),
             (lambda p, y: -np.mean(np.log(p)), "class 0"),
             (lambda p, y: np.mean((p - y) ** 2), "squared error"),
             (lambda p, y: entropy(p, y) / math.log(2), "base 2"),
             (lambda p, y: entropy(p, y) * len(p) / 3, "wrong for two")],
    "01.3": [(([[1, 1], [1, 1]], [0, -1], None, None), "still missing"),
             (([[1, 1], [1, 1]], [0, -1], [-1, 2], 1), "then move b2 up"),
             (([[1, 1], [1, 1]], [0, 0], [1, -1], 0), "both hidden neurons are the same"),
             (([[1, 1], [1, 1]], [0, -1], [-1, 2], 0.5), "wrong way round"),
             (([[1, 1], [1, 1]], [0, -1], [1, -1], 0), "wrong for (1, 1)"),
             *((parts, "the shapes should be") for parts in (
                 ([1, 1], [0, -1], [1, -2], 0), ([[1, 1], [1, 1]], [0], [1, -2], 0),
                 ([[1, 1], [1, 1]], [0, -1], 1, 0), ([[1, 1], [1, 1]], [0, -1], [1, -2], [0]))),
             (7, "four parts")],
    "02.1": [(lambda n, b, e: n // b * e, "left over"),
             (lambda n, b, e: math.ceil(n * e / b), "in every epoch"),
             (lambda n, b, e: math.ceil(n / b), "for one epoch"),
             (lambda n, b, e: (n // b + 1) * e, "divide evenly"),
             (lambda n, b, e: round(n / b + 0.5) * e, "divide evenly")],
    "02.2": [(lambda w, v, g, lr, mu: (mu * v + g, w - lr * (mu * v + g)), "the wrong way round"),
             (lambda w, v, g, lr, mu: (w - lr * g, g), "plain SGD"),
             (lambda w, v, g, lr, mu: (w + lr * (mu * v + g), mu * v + g), "uphill"),
             (lambda w, v, g, lr, mu: (w - lr * v, mu * v + g), "new velocity"),
             (lambda w, v, g, lr, mu: (w - mu * v - lr * g, mu * v + lr * g), "times 0.1"),
             (lambda w, v, g, lr, mu: (w - 0.1 * (0.9 * v + g), 0.9 * v + g), "fixed numbers"),
             (lambda w, v, g, lr, mu: (w - 0.1 * (mu * v + g), mu * v + g), "fixed numbers"),
             (lambda w, v, g, lr, mu: None, "gives back nothing")],
    "02.3": [(lambda a, b: (standardise(a, a)[0], standardise(b, b)[0]), "own mean and spread"),
             (lambda a, b: standardise(np.vstack([a, b]), b)[0:1] + (b,), "shapes should stay"),
             (lambda a, b: (standardise(a, b)[0][:3], standardise(a, b)[1]), "shapes should stay"),
             (lambda a, b: (standardise(a, b)[0], standardise(a, b)[1][0]), "shapes should stay"),
             (lambda a, b: ((a - np.vstack([a, b]).mean(0)) / np.vstack([a, b]).std(0),
                            (b - np.vstack([a, b]).mean(0)) / np.vstack([a, b]).std(0)), "leaks"),
             (lambda a, b: ((a - a.mean()) / a.std(), (b - a.mean()) / a.std()), "both columns"),
             (lambda a, b: (a - a.mean(0), b - a.mean(0)), "not divided"),
             (lambda a, b: ((a - np.median(a, 0)) / a.std(0), (b - np.median(a, 0)) / a.std(0)), "training mean"),
             (lambda a, b: standardise(a, b)[0], "two arrays")],
    "03.1": [(keep(), "negations got lost"), (keep("not", "never"), "lost: no."),
             (keep("not", "never", "no"), "n't"),
             (lambda text: set(keep("not", "never", "no", "n't")(text)), "order and repetitions"),
             (lambda text: sorted(keep("not", "never", "no", "n't")(text)), "order of the text"),
             (keep(*STOP), "stop words are still there"),
             (lambda text: [t for t in tokenize(text) if t not in STOP - {"not", "never", "no"}], "punctuation"),
             (lambda text: [t for t in text.replace(",", "").split() if t not in STOP - {"not", "never"}],
              "lower-case"),
             (lambda text: " ".join(keep("not", "never")(text)), "a list, not one text")],
    "03.2": [(lambda train, test: np.mean([t not in train for ts in test for t in ts]), "list of lists"),
             (lambda train, test: unknown_rate(train, [sorted({t for ts in test for t in ts})]), "twice counts twice"),
             (lambda train, test: 1 - unknown_rate(train, test), "share of known"),
             (lambda train, test: unknown_rate(train + test, test), "had a say"),
             (lambda train, test: 100 * unknown_rate(train, test), "per cent"),
             (lambda train, test: len({t for ts in test for t in ts} - {t for ts in train for t in ts})
              / sum(map(len, test)), "twice counts twice"),
             (lambda train, test: np.mean([unknown_rate(train, [ts]) > 0 for ts in test]), "it is tokens"),
             (lambda train, test: np.mean([t not in " ".join(sum(train, [])) for t in sum(test, [])]), "a text of")],
    "03.3": [(lambda values, mask: values.mean(axis=1), "padding was averaged in"),
             (lambda values, mask: values.mean(axis=0), "over texts"),
             (lambda values, mask: (values * mask).sum(axis=1), "this is the sum"),
             (lambda values, mask: values.sum(axis=1) / mask.sum(axis=1), "padding holds zeros"),
             (lambda values, mask: [row[:n].mean() for row, n in zip(values, mask.sum(1), strict=True)], "come first"),
             (lambda values, mask: (values * mask).sum(1) / mask.sum(1), "divided by zero"),
             (lambda values, mask: np.where(mask.sum(1) > 0, masked_mean(values, mask), 7), "should get 0")],
    "04.1": [(lambda u, v: u @ v, "dot product"), (lambda u, v: u @ v / np.linalg.norm(u), "one length only"),
             (lambda u, v: u @ v / (u @ u * (v @ v)), "square root"),
             (lambda u, v: abs(cosine(u, v)), "negative cosine"), (lambda u, v: cosine(u[:2], v[:2]), "all of them"),
             (lambda u, v: u @ v / 25, "ten times as long"),
             (lambda u, v: 1 - cosine(u, v), "the distance")],
    "04.2": [(lambda t, w: [(t[i], c) for i in range(len(t)) for c in t[i - w:i] + t[i + 1:i + 1 + w]], "max(0, i"),
             (lambda t, w: skipgram(t, w) * w, "wrong for 2"),
             (lambda t, w: skipgram(t, 1) + [("the", "late")] * 4 * (w - 1), "wrong for 2"),
             (lambda t, w: skipgram(t, w) + [(x, x) for x in t], "own context"),
             (lambda t, w: [(t[i], t[j]) for i in range(len(t)) for j in range(i + 1, min(len(t), i + w + 1))],
              "to the right only"),
             (lambda t, w: [(t[i], t[j]) for i in range(len(t)) for j in range(max(0, i - w), i)], "to the left only"),
             (lambda t, w: [(t[i], t[i + k]) for i in range(len(t)) for k in range(-w, w + 1)
                            if k and i + k < len(t)], "wraps round"),
             (lambda t, w: [(t[i + k], t[i]) for i in range(len(t)) for k in range(-w, w + 1)
                            if k and i + k < len(t)], "wraps round"),
             (lambda t, w: skipgram(t, 1), "wrong for 2"), (lambda t, w: t, "a list of pairs"),
             (lambda t, w: skipgram(t, w + 1), "too far"),
             (lambda t, w: [p for p in skipgram(t, w) if p[0] != p[1]], "occurs twice")],
    "04.3": [(lambda w, v: [(other, cosine(v[w], v[other])) for other in nearest(w, v)], "the words alone"),
             (lambda w, v: [w, *nearest(w, v)], "leave it out"),
             (lambda w, v: nearest(w, v)[::-1], "furthest first"),
             (lambda w, v: nearest(w, v, key=lambda o: np.linalg.norm(v[o] - v[w])), "distance, not direction"),
             (lambda w, v: nearest(w, v, key=lambda o: -(v[o] @ v[w])), "Divide by the lengths"),
             (lambda w, v: nearest("good", v), "asked for"),
             (lambda w, v: nearest(w, v)[0], "a list, not one text")],
}
