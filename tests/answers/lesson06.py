"""Right and wrong answers to the exercises of lesson 06, each wrong one with a part of its hint."""

from types import SimpleNamespace

import numpy as np
import torch


def norm_rows(x, gain, offset, epsilon, axis=-1, ddof=0):
    spread = x.var(axis=axis, ddof=ddof, keepdims=True)
    return gain * (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(spread + epsilon) + offset


def by_torch(x, gain, offset, epsilon):
    x, gain, offset = (torch.tensor(part) for part in (x, gain, offset))
    return torch.nn.functional.layer_norm(x, x.shape[-1:], gain, offset, epsilon)


def count(c):
    d, m, L = c.hidden_size, c.intermediate_size, c.num_hidden_layers
    embeddings = (c.vocab_size + c.max_position_embeddings + c.type_vocab_size) * d + 2 * d
    return embeddings + L * (4 * (d * d + d) + d * m + m + m * d + d + 4 * d) + d * d + d


def with_config(**changed):
    return lambda c: count(SimpleNamespace(**{**vars(c), **{name: f(c) for name, f in changed.items()}}))


def hide(ids, chosen, special, mask_id):
    gaps = [was and i not in special for i, was in zip(ids, chosen, strict=True)]
    return ([mask_id if gap else i for i, gap in zip(ids, gaps, strict=True)],
            [i if gap else -100 for i, gap in zip(ids, gaps, strict=True)])


def hide_by_torch(ids, chosen, special, mask_id):
    ids = torch.tensor(ids)
    gaps = torch.tensor(chosen) & ~torch.isin(ids, torch.tensor(special, dtype=torch.long))
    return ids.masked_fill(gaps, mask_id), ids.masked_fill(~gaps, -100)


def unless_nothing_is_chosen(inputs, labels):
    """An answer that is right where something is chosen, and gives these for two tokens of which none is."""
    return lambda ids, chosen, special, mask_id: (
        hide(ids, chosen, special, mask_id) if any(chosen) else (inputs, labels))


def in_place(ids, chosen, special, mask_id):
    labels = [-100] * len(ids)
    for place, (i, was) in enumerate(zip(list(ids), chosen, strict=True)):
        if was and i not in special:
            labels[place], ids[place] = i, mask_id
    return ids, labels


def loss_of(C, tau):
    e = np.exp(tau * C)
    return -np.mean(np.log(np.diag(e) / e.sum(axis=1)))


def loss_by_torch(C, tau):
    return torch.nn.functional.cross_entropy(tau * torch.tensor(C), torch.arange(len(C)))


RIGHT = {
    "06.1": [norm_rows, by_torch, lambda *given: norm_rows(*given).tolist()],
    "06.2": [count, lambda c: torch.tensor(count(c))],
    "06.3": [hide, hide_by_torch, lambda *given: tuple(np.array(part) for part in hide(*given))],
    "06.4": [loss_of, loss_by_torch, lambda C, tau: loss_by_torch(C.astype("float32"), tau)],
}

WRONG = {
    "06.1": [(lambda x, g, o, e: norm_rows(x, g, o, e, axis=0), "standardised the columns"),
             (lambda x, g, o, e: norm_rows(x, g, o, e, axis=None), "over all tokens"),
             (lambda x, g, o, e: norm_rows(x, g, o, e, ddof=1), "divides by d − 1"),
             (lambda x, g, o, e: norm_rows(x, g, o, 0), "epsilon is missing"),
             (lambda x, g, o, e: g * (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + e) + o,
              "under the root"),
             (lambda x, g, o, e: norm_rows(x, 1, 0, e), "gain and offset are not used"),
             (lambda x, g, o, e: norm_rows(x, g, 0, e), "one of gain and offset"),
             (lambda x, g, o, e: norm_rows(x, 1, o, e), "one of gain and offset"),
             (lambda x, g, o, e: g * (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + e) + o,
              "square root"),
             (lambda x, g, o, e: norm_rows(x, g, o, e)[0], "shape should stay"),
             (lambda x, g, o, e: x - x.mean(-1), "ValueError")],
    "06.2": [(with_config(intermediate_size=lambda c: 4 * c.hidden_size), "you took 4d"),
             (lambda c: count(c) - c.num_hidden_layers * (9 * c.hidden_size + c.intermediate_size - 4 * c.hidden_size)
              - c.hidden_size, "biases are missing"),
             (lambda c: count(c) - (4 * c.num_hidden_layers + 2) * c.hidden_size, "layer norms are missing"),
             (lambda c: count(c) - c.hidden_size**2 - c.hidden_size, "pooler is missing"),
             (with_config(max_position_embeddings=lambda c: 0), "table of positions is missing"),
             (with_config(type_vocab_size=lambda c: 0), "token types"),
             (with_config(num_hidden_layers=lambda c: 1), "that is one block"),
             (lambda c: count(c) - c.num_hidden_layers * (c.hidden_size**2 + c.hidden_size), "four tables"),
             (lambda c: count(c) - 2 * c.hidden_size, "the one of the embeddings"),
             (with_config(type_vocab_size=lambda c: 3), "every number from the configuration"),
             (with_config(vocab_size=lambda c: 50), "every number from the configuration")],
    "06.3": [(lambda ids, chosen, special, mask: (hide(ids, chosen, special, mask)[0], ids), "every token"),
             (lambda ids, chosen, special, mask: hide(ids, chosen, special, 103), "wrong for others"),
             (lambda ids, chosen, special, mask: hide(ids, chosen, [101, 102], mask), "wrong for others"),
             (lambda ids, chosen, special, mask: hide(ids, [c and 0 < k < len(ids) - 1 for k, c in enumerate(chosen)],
                                                      [], mask), "wrong for others"),
             *((lambda ids, chosen, special, mask, known=known: hide(ids, chosen, special[known], mask),
                "a special token was hidden") for known in (slice(0), slice(1), slice(1, 2))),
             *((lambda ids, chosen, special, mask, known=known: (
                 hide(ids, chosen, special, mask)[0], hide(ids, chosen, special[known], mask)[1]),
                "special tokens are no gaps") for known in (slice(0), slice(1), slice(1, 2))),
             (lambda ids, chosen, special, mask: (hide(ids, chosen, special, mask)[0],
                                                  [-100 if c or i in special else i
                                                   for i, c in zip(ids, chosen, strict=True)]), "wrong way round"),
             (lambda ids, chosen, special, mask: (hide(ids, chosen, special, mask)[0],
                                                  [mask if label != -100 else -100
                                                   for label in hide(ids, chosen, special, mask)[1]]),
              "keep it before you overwrite it"),
             (lambda ids, chosen, special, mask: (ids, hide(ids, chosen, special, mask)[1]), "still show the answer"),
             (lambda ids, chosen, special, mask: (hide(ids, chosen, special, mask)[0],
                                                  [0 if label == -100 and i not in special else label for i, label in
                                                   zip(ids, hide(ids, chosen, special, mask)[1], strict=True)]),
              "anyone can read"),
             (in_place, "work on a copy"),
             (unless_nothing_is_chosen([1, 6], [-100, -100]), "where nothing is chosen"),
             (unless_nothing_is_chosen([5, 6], [5, 6]), "where nothing is chosen"),
             (lambda *given: (hide(*given)[0][:5], hide(*given)[1]), "as long as `ids`"),
             (lambda *given: (hide(*given)[0], hide(*given)[1][:5]), "as long as `ids`"),
             (lambda *given: hide(*given)[0], "two lists")],
    "06.4": [(lambda C, tau: -loss_of(C, tau), "minus sign"),
             (lambda C, tau: len(C) * loss_of(C, tau), "this is the sum"),
             (lambda C, tau: loss_of(C.T, tau), "along a row"),
             (lambda C, tau: loss_of(C, 1), "tau is missing"),
             (lambda C, tau: loss_of(C, 1 / tau), "you divide by tau"),
             (lambda C, tau: -np.mean(np.log(np.diag(np.exp(tau * C)) / np.exp(tau * C).sum())), "the whole table"),
             (lambda C, tau: -np.mean([tau * C[i, i] - np.log(sum(np.exp(tau * C[i, j]) for j in range(len(C))
                                                                if j != i)) for i in range(len(C))]),
              "partner itself"),
             (lambda C, tau: loss_of(C, 5), "use the arguments"),
             (lambda C, tau: -np.log(np.diag(np.exp(tau * C)) / np.exp(tau * C).sum(axis=1)), "Take the mean")],
}
