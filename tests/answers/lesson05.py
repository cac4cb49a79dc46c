"""Right and wrong answers to the exercises of lesson 05, each wrong one with a part of its hint."""

import math

import numpy as np
import torch


def masked_attention(Q, K, V, allowed):
    scores = (Q @ K.T / math.sqrt(Q.shape[-1])).masked_fill(allowed == 0, -math.inf)
    return scores.softmax(dim=-1) @ V


def in_numpy(Q, K, V, allowed):
    scores = np.asarray(Q @ K.T) / np.sqrt(Q.shape[1]) + np.where(np.asarray(allowed) > 0, 0, -np.inf)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True) @ np.asarray(V)


def masked_after_but_rescaled(Q, K, V, allowed):
    weights = (Q @ K.T / math.sqrt(Q.shape[-1])).double().softmax(dim=-1) * allowed
    return weights / weights.sum(dim=-1, keepdim=True) @ V.double()


def attend(change_scores=lambda s, m, d: s / d**0.5 + (1 - m) * -1e9, dim=-1, change=lambda a, m: a):
    def answer(Q, K, V, allowed):
        scores = change_scores(Q @ K.T, allowed, Q.shape[-1])
        return change(scores.softmax(dim=dim), allowed) @ V
    return answer


def split(Y, H):
    batch, n, d = Y.shape
    return Y.view(batch, n, H, d // H).transpose(1, 2)


def effect(words, score, *places):
    return score(words) - score([word for k, word in enumerate(words) if k not in places])


def cover(words, score, i, j):
    return effect(words, score, i, j) - effect(words, score, i) - effect(words, score, j)


def by_value(words, score, i, j):
    def without(*gone):
        return score(words) - score([word for word in words if word not in gone])
    return without(words[i], words[j]) - without(words[i]) - without(words[j])


def by_remove(words, score, *places):
    def without(*gone):
        rest = list(words)
        for word in gone:
            rest.remove(word)
        return score(words) - score(rest)
    i, j = places
    return without(words[i], words[j]) - without(words[i]) - without(words[j])


def shifting(words, score, i, j):
    rest = list(words)
    del rest[i]
    del rest[j]
    return score(words) - score(rest) - effect(words, score, i) - effect(words, score, j)


def in_order_only(words, score, i, j):
    rest = list(words)
    del rest[j]
    del rest[i]
    return score(words) - score(rest) - effect(words, score, i) - effect(words, score, j)


def deleting(words, score, i, j):
    found = cover(words, score, i, j)
    del words[i]
    return found


def rescaled_too_late(Q, K, V, allowed):
    weights = torch.softmax(Q @ K.T / math.sqrt(2), dim=-1) * allowed
    return weights / weights.sum(dim=-1, keepdim=True) @ V


RIGHT = {
    "05.1": [[-10, -5], np.array([-30.0, -4.0]), torch.tensor([-8.0, -6.0])],
    "05.2": [masked_attention, in_numpy, attend(), masked_after_but_rescaled,
             lambda Q, K, V, allowed: masked_attention(Q, K, V, allowed).tolist()],
    "05.3": [split, lambda Y, H: np.stack(np.split(Y.numpy(), H, axis=-1), axis=1),
             lambda Y, H: torch.stack(Y.chunk(H, dim=-1), dim=1)],
    "05.4": [cover, lambda words, score, i, j: torch.tensor(cover(words, score, i, j))],
}

WRONG = {
    "05.1": [([-1, -3], "more negative still"),
             ([0, 2], "twice as long"), ([2, 0], "one negative as well"), ([0, 0], "asks for nothing"),
             ([-1, -1], "more decided"), ([0, -4], "one negative as well"), ([1, 2, 3], "two numbers"),
             ("-10, -5", "not text")],
    "05.2": [(rescaled_too_late, "nothing has to be restored"),
             (attend(lambda s, m, d: s + (1 - m) * -1e9), "not divided"),
             (attend(lambda s, m, d: s / d + (1 - m) * -1e9), "not by d_k"),
             (attend(lambda s, m, d: s / len(s) ** 0.5 + (1 - m) * -1e9), "not of n or d_v"),
             (attend(dim=0), "down the columns"),
             (lambda Q, K, V, allowed: attend()(K, Q, V, allowed), "changed places"),
             (lambda Q, K, V, allowed: (Q @ K.T / math.sqrt(2)) @ V, "softmax is missing"),
             (lambda Q, K, V, allowed: V.mean(dim=0).expand(3, 5), "counts the same"),
             (lambda Q, K, V, allowed: attend()(Q, K, torch.eye(3), allowed), "these are the weights"),
             (attend(lambda s, m, d: s / d**0.5), "changes nothing"),
             (attend(lambda s, m, d: s / d**0.5, change=lambda a, m: a * m), "after the softmax"),
             (attend(lambda s, m, d: s / d**0.5 * m), "times 0 is 0"),
             (attend(lambda s, m, d: s / d**0.5 + m), "by 1 only"),
             (attend(lambda s, m, d: (s / d**0.5).masked_fill(m == 0, -9.0)), "a small weight"),
             (attend(lambda s, m, d: (s / d**0.5).masked_fill(m == 0, -30.0)), "not low enough"),
             (attend(lambda s, m, d: s / d**0.5 + (1 - m) * -math.inf), "not a number"),
             (attend(lambda s, m, d: s / d**0.5 * torch.where(m == 0, -math.inf, 1.0)), "nan appears with a mask"),
             (attend(lambda s, m, d: s / d**0.5 if m.all() else (s / d**0.5).masked_fill(m == 1, -1e9)),
              "the wrong way round"),
             (attend(lambda s, m, d: s / d**0.5 - 30 * m), "right without a mask"),
             (attend(lambda s, m, d: s / d**0.5 if m.all() else
                     (s / d**0.5).masked_fill(torch.ones(3, 3).tril() == 0, -math.inf)), "wrong for filling"),
             (lambda Q, K, V, allowed: attend()(Q, K, V, allowed)[0], "has shape (3, 5), not (5,)"),
             (attend(lambda s, m, d: (s / d**0.5).masked_fill(m.T == 0, -1e9)), "who listens"),
             (attend(lambda s, m, d: (s / d**0.5).masked_fill(torch.ones(3, 3).tril() == 0, -1e9)), "wrong already"),
             (lambda Q, K, V, allowed: (attend()(Q, K, V, allowed), None)[1], "gives back nothing")],
    "05.3": [(lambda Y, H: Y.reshape(len(Y), H, Y.shape[1], -1), "reads on through the rows"),
             (lambda Y, H: Y.view(*Y.shape[:2], H, -1), "now move the heads"),
             (lambda Y, H: split(Y, H).transpose(2, 3), "last two axes"),
             (lambda Y, H: Y.view(*Y.shape[:2], -1, H).permute(0, 3, 1, 2), "every third column"),
             (lambda Y, H: Y.view(*Y.shape[:2], -1, H).transpose(1, 2), "groups of H"),
             (lambda Y, H: torch.stack(Y.chunk(H, dim=-1)), "before the batch"),
             (lambda Y, H: Y, "the result has shape"), (lambda Y, H: split(Y, H).flip(1), "owns the columns"),
             (lambda Y, H: split(Y, 3), "wrong for 2"),
             (lambda Y, H: split(Y, 3) if H == 3 else Y.reshape(len(Y), H, Y.shape[1], -1), "wrong for 2")],
    "05.4": [(lambda words, score, i, j: score(" ".join(words)), "a list of words, not one text"),
             (lambda words, score, i, j: score(list(words).remove(words[i])), "gives no list back"),
             (lambda words, score, i, j: effect(words, score, i, j), "take off the two"),
             (lambda words, score, i, j: -cover(words, score, i, j), "sign is the wrong way"),
             (lambda words, score, i, j: score([w for k, w in enumerate(words) if k not in (i, j)]), "this is a score"),
             (in_order_only, "right for i < j"),
             (shifting, "further left"), (by_value, "stands there twice"), (by_remove, "stands there twice"),
             (deleting, "is changed"), (lambda words, score, i, j: None, "gives back nothing")],
}
