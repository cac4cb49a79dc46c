"""Checks of lesson 08, full fine-tuning."""

import math

import numpy as np
import torch
from torch import nn

from .answers import WrongFormError, as_list, close, exercise, function, number

SHAPES = {"backbone.embeddings.weight": (5, 3), "backbone.layer.0.query.weight": (3, 3),
          "backbone.layer.0.query.bias": (3,), "backbone.layer.0.heads.weight": (3, 3),
          "backbone.layer.0.LayerNorm.weight": (3,), "backbone.layer.0.LayerNorm.bias": (3,),
          "head.weight": (2, 3), "head.bias": (2,)}


def _groups(answer):
    """Which group each weight is in: from id to (lr, weight_decay), and the ids that stand in two."""
    found, twice = {}, set()
    for group in as_list(answer):
        if not isinstance(group, dict) or "params" not in group:
            raise WrongFormError('give back a list of dictionaries, each with "params", "lr" and "weight_decay".')
        for key in ("lr", "weight_decay"):
            if key not in group:
                raise WrongFormError(f'a group without "{key}" gets the optimizer\'s own; say it in every group.')
        weights = group["params"]
        weights = [weights] if isinstance(weights, torch.Tensor) else list(weights)
        if not all(isinstance(weight, torch.Tensor) for weight in weights):
            raise WrongFormError('"params" should hold the weights themselves, not their names.')
        for weight in weights:
            twice |= {id(weight)} & set(found)
            found[id(weight)] = (number(group["lr"]), number(group["weight_decay"]))
    return found, twice


@exercise("08.1")
@function
def _parameter_groups(function):
    named = [(name, nn.Parameter(torch.ones(shape))) for name, shape in SHAPES.items()]
    lr, head_lr, decay = 3e-5, 7e-4, 0.02
    found, twice = _groups(function(named, lr, head_lr, decay))
    missing = [name for name, weight in named if id(weight) not in found]
    if missing:
        return f"no group holds {missing[0]}: it would never be trained. Count the weights in all groups."
    doubled = [name for name, weight in named if id(weight) in twice]
    if doubled:
        return f"{doubled[0]} stands in two groups; PyTorch refuses that."
    if len(found) > len(named):
        return "the groups hold weights that were not given."
    settings = {name: found[id(weight)] for name, weight in named}
    rates = {name: rate for name, (rate, _decay) in settings.items()}
    if all(close(rate, head_lr, 1e-9) == (not name.startswith("head.")) for name, rate in rates.items()):
        return "the two learning rates are the wrong way round."
    for name, rate in rates.items():
        if not close(rate, head_lr if name.startswith("head.") else lr, 1e-9):
            return f"{name} has a learning rate of {rate:g}; which of the two should it have?"
    decays = {name: found_decay for name, (_rate, found_decay) in settings.items()}
    if not any(decays.values()):
        return "nothing is decayed; the matrices should be."
    for name, found_decay in decays.items():
        if len(SHAPES[name]) == 1 and found_decay:
            kind = "a norm's scale" if name.endswith("LayerNorm.weight") else "a bias"
            return f"{name} is {kind}, one-dimensional, and is decayed. Go by the number of dimensions, not the name."
        if len(SHAPES[name]) == 2 and not close(found_decay, decay, 1e-9):
            return f"{name} is a matrix; its weight decay should be {decay}, it is {found_decay:g}."
    return None


@exercise("08.2")
@function
def _epoch_loss(function):
    losses, sizes = [0.9, 0.5, 0.2], [32, 32, 6]
    right = sum(a * b for a, b in zip(losses, sizes, strict=True)) / sum(sizes)
    got = number(function(losses, sizes))
    if close(got, right):
        losses, sizes = [0.4, 0.8], [1, 3]
        if not close(number(function(losses, sizes)), 0.7):
            return "right for one epoch, wrong for another: use the sizes that are given, not fixed numbers."
        return None
    if close(got, losses[-1]):
        return "this is the last batch's loss, the very number that the article prints."
    if close(got, float(np.mean(losses))):
        return "here the small batch counts as much as a full one. Weight each loss by its batch's size."
    if close(got, sum(losses)):
        return "this is the sum of the batches' losses; it grows with the number of batches."
    if close(got, right * sum(sizes)):
        return "this is the epoch's sum; divide by the number of examples."
    if close(got, right * sum(sizes) / len(sizes)):
        return "you divided by the number of batches; divide by the number of examples."
    return f"for losses {losses} and sizes {sizes} it is not {got:.4f}."


@exercise("08.3")
@function
def _moved(function):
    before = {"weight": torch.tensor([[3.0, 0.0], [0.0, 4.0]]), "bias": torch.tensor([12.0])}
    after = {"weight": torch.tensor([[0.0, 3.0], [0.0, 4.0]]), "bias": torch.tensor([10.0])}
    way, size = math.sqrt(22), math.sqrt(169)
    got = number(function({n: w.clone() for n, w in before.items()}, {n: w.clone() for n, w in after.items()}))
    if close(got, way / size, 1e-5):
        more = number(function({"a": torch.ones(4)}, {"a": torch.ones(4) * 1.5}))
        return None if close(more, 0.5, 1e-5) else "right for two weights, wrong for one: let the dictionary decide."
    if close(got, 22 / 169, 1e-5):
        return "the square root is missing: these are the squared lengths."
    if close(got, 100 * way / size, 1e-5):
        return "the exercise asks for a share, not for per cent."
    if close(got, way, 1e-5):
        return "this is the distance itself; divide it by the length before training."
    if close(got, way / math.sqrt(125), 1e-5):
        return "you divided by the length after training."
    if any(close(got, sum(shares) / 2, 1e-5) for shares in ((math.sqrt(18) / 5, 2 / 12),)):
        return "a mean over the parts gives a small bias as much say as a large matrix. Add up the squares of all."
    if close(got, abs(math.sqrt(125) - 13) / 13, 1e-5):
        return ("you compared the two lengths. Weights can turn a long way and keep their length: take the length of "
                "the difference.")
    if close(got, abs(-3 + 3 - 2) / size, 1e-5) or got < 0:
        return "ups and downs cancel in a plain sum: square the differences first."
    return f"the answer is not {got:.4f}. Length of (after − before), all parts together, over the length of before."


@exercise("08.4")
@function
def _choose(function):
    def rows(table):
        return [dict(zip(("lr", "seed", "validation", "test"), row, strict=True)) for row in table]

    table = rows([(2e-5, 0, 0.71, 0.84), (2e-5, 1, 0.72, 0.85), (1e-4, 0, 0.80, 0.78), (1e-4, 1, 0.81, 0.79),
                  (4e-4, 0, 0.83, 0.80), (4e-4, 1, 0.74, 0.77), (1e-3, 0, 0.60, 0.70), (1e-3, 1, 0.62, 0.95)])
    got = number(function([dict(row) for row in table]))
    if close(got, 1e-4, 1e-9):
        # the better rate has fewer seeds, and neither the better last row nor the better worst one
        other = rows([(1e-5, 0, 0.90, 0.1), (1e-5, 1, 0.80, 0.2), (3e-5, 0, 0.84, 0.9), (3e-5, 1, 0.83, 0.9),
                      (3e-5, 2, 0.82, 0.9), (3e-5, 3, 0.85, 0.9)])
        try:
            unseen = number(function([{k: v for k, v in row.items() if k != "test"} for row in other]))
        except KeyError:
            return "your function reads the test column. It has no business in choosing."
        return None if close(unseen, 1e-5, 1e-9) else ("right where every rate has equally many seeds, wrong where "
                                                       "not: take each rate's mean over all its rows, not the sum and "
                                                       "not one row.")
    if close(got, 2e-5, 1e-9):
        return "this is the best rate on the test set. Whoever chooses by it has no test set left."
    if close(got, 4e-4, 1e-9):
        return "one lucky seed decided. Take the mean over the seeds of each rate first."
    if close(got, 1e-3, 1e-9):
        return "this rate has the best single test score, and the worst validation scores."
    if 0.5 < got < 1:
        return "give back the learning rate, not its score."
    return "for each rate take the mean of its validation scores; give back the rate with the highest."
