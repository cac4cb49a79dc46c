"""Checks of lesson 07, the frozen backbone."""

import copy

import numpy as np
import torch
from torch import nn

from .answers import WrongFormError, as_list, close, exercise, function, number


def _tiny():
    from transformers import BertConfig, BertModel  # here: lessons without a BERT need not wait for it

    with torch.random.fork_rng(devices=[]):
        return BertModel(BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=4, num_attention_heads=2,
                                    intermediate_size=12, max_position_embeddings=16))


def _weights(parts):
    return sum(weight.numel() for part in parts for weight in part.parameters())


def _trained(part):
    return any(weight.requires_grad for weight in part.parameters())


@exercise("07.1")
@function
def _train_top(train_top):
    model = _tiny()
    blocks = model.encoder.layer
    got = number(train_top(model, 2))
    trained = [all(weight.requires_grad for weight in block.parameters()) for block in blocks]
    if got == len(list(blocks[0].parameters())) * 2:
        return "you counted tensors; each holds many weights (`numel`)."
    if trained == [True, True, False, False]:
        return "these are the first blocks, next to the input; the topmost are the last of the list."
    if _trained(model.embeddings):
        return "the embeddings may still be trained: freeze the whole model first."
    if _trained(model.pooler):
        return "the pooler may still be trained: freeze the whole model first."
    if trained != [False, False, True, True] or _trained(blocks[0]) or _trained(blocks[1]):
        return f"for k = 2 of 4 blocks exactly the last two may be trained; here they are {trained}."
    if not close(got, _weights(blocks[2:])):
        return f"the right blocks may be trained; but they hold {_weights(blocks[2:])} weights, not {got:g}."
    got = number(train_top(model, 0))
    if got != 0 or any(_trained(block) for block in blocks):
        return "for k = 0 nothing may be trained; in Python [-0:] is the whole list."
    model.requires_grad_(False)
    got = number(train_top(model, 4))
    if not all(_trained(block) for block in blocks):
        return "a model that arrives frozen stays frozen: switch its topmost blocks on again."
    return None if close(got, _weights(blocks)) else "right for k = 2, wrong for k = 4."


@exercise("07.2")
@function
def _largest_move(largest_move):
    x = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-4.0, 0.25]])
    y = torch.tensor([0, 1, 0])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 6), nn.Dropout(0.5), nn.Linear(6, 2))
        model[2].bias[0] -= 3  # so that the largest change is a fall

    def moves(dropped=False, stale=0.0, whole=False):
        twin = copy.deepcopy(model).train(dropped)
        loss = nn.functional.cross_entropy(twin(x), y, reduction="sum" if whole else "mean")
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        return torch.cat([-0.1 * (gradient + stale).flatten() for gradient in gradients])

    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 7.0)  # left over from somebody's earlier step
    given = copy.deepcopy(model).train()
    for old, new in zip(model.parameters(), given.parameters(), strict=True):
        new.grad = old.grad.clone()
    in_training = []  # was the model, or a copy of it, in train mode when it was asked?
    given.register_forward_pre_hook(lambda part, _inputs: in_training.append(part.training))
    try:
        got = number(largest_move(given, x.clone(), y.clone()))
    except RuntimeError as error:
        if "does not require grad" in str(error):
            raise WrongFormError("the exercise says: freeze nothing. Without gradients there is no step.") from error
        raise
    step = moves()
    if close(got, step.abs().max().item(), 1e-4):
        return "the step was taken in train mode, by chance with the same result." if any(in_training) else None
    if any(in_training):
        return "the model was in train mode: dropout took part."
    if got == 0:
        if torch.equal(given[0].weight, model[0].weight):
            return "no weight has moved: did the optimizer take its step?"
        return ("0, but the weights have moved: `detach` and a list share their memory with the model. Keep a `clone` "
                "of what was there before.")
    if close(got, moves(stale=7.0).abs().max().item(), 1e-4):
        return "an old gradient was still there and was added: `zero_grad` before `backward`."
    if close(got, step.max().item(), 1e-4):
        return "a weight may fall as well as rise: take the absolute change."
    if close(got, step.abs().sum().item(), 1e-4) or close(got, step.norm().item(), 1e-4):
        return "the largest single change is wanted, not a sum over all."
    if close(got, step.abs().mean().item(), 1e-4):
        return "the largest change is wanted, not the mean."
    if close(got, moves(whole=True).abs().max().item(), 1e-4):
        return "the cross-entropy is the mean over the examples, as in PyTorch's default."
    if close(got, 0.1, 1e-3):
        return "every weight moved by the learning rate: that is Adam's first step; plain SGD is asked for."
    if close(got, 10 * step.abs().max().item(), 1e-4):
        return "that is the largest gradient; the learning rate is 0.1."
    return f"one step of SGD with a learning rate of 0.1 moves no weight by {got:.4f}."


@exercise("07.3")
@function
def _scores_of(scores_of):
    matrix = np.array([[50, 7, 3], [12, 20, 8], [0, 5, 15]])

    def right(matrix, label):
        hits, said, true = matrix[label, label], matrix[:, label].sum(), matrix[label].sum()
        precision, recall = hits / max(said, 1), hits / max(true, 1)
        return precision, recall, 2 * precision * recall / max(precision + recall, 1e-12)

    def ask(matrix, label):
        found = as_list(scores_of(matrix.copy(), label))
        if len(found) != 3:
            raise WrongFormError("give back three numbers: precision, recall, F1.")
        return [number(part) for part in found]

    got, (precision, recall, f1) = ask(matrix, 1), right(matrix, 1)
    accuracy = np.trace(matrix) / matrix.sum()
    if all(close(a, accuracy) for a in got):
        return "all three are the accuracy (with several labels also called micro F1): look at one label alone."
    if close(got[0], recall) and close(got[1], precision):
        return "precision and recall have changed places: precision divides by a column, what was *said*."
    if close(got[0], accuracy):
        return "the first number is the accuracy; precision divides the hits by all that was given this label."
    if not close(got[0], precision):
        if close(got[0], right(matrix, 0)[0]) or close(got[0], right(matrix, 2)[0]):
            return "these are another label's scores: use the argument `label`."
        return f"for {matrix.tolist()} and label 1 precision is not {got[0]:.4f}: hits over the sum of a column."
    if not close(got[1], recall):
        return f"precision is right, recall is not {got[1]:.4f}: hits over the sum of a row."
    if close(got[2], (precision + recall) / 2):
        return "F1 is the harmonic mean, 2PR / (P + R), not the plain one."
    if not close(got[2], f1):
        return "precision and recall are right, F1 is not: 2PR / (P + R)."
    if not all(close(a, b) for label in (0, 2) for a, b in zip(ask(matrix, label), right(matrix, label), strict=True)):
        return "right for label 1, wrong for others: use the argument `label`."
    for empty, hint in (([[5, 0], [3, 0]], "a label that is never predicted leads to 0/0; let it count as 0."),
                        ([[5, 2], [0, 0]], "a label that no text has leads to 0/0 in recall; let it count as 0.")):
        with np.errstate(all="ignore"):
            try:
                got = ask(np.array(empty), 1)
            except ZeroDivisionError:
                got = [np.nan]
        if not all(close(part, 0.0) for part in got):
            return hint
    return None


@exercise("07.4")
@function
def _key_of(key_of):
    def ask(weights=(((1.0, 2.0), (4.0, 5.0)), (3.0,)), texts=("good soup", "late bus"), pooling="mean"):
        key = key_of([torch.tensor(part) for part in weights], list(texts), pooling)
        if key is None:
            raise WrongFormError("your function gives back nothing; end it with `return`.")
        try:
            hash(key)
        except TypeError as error:
            raise WrongFormError("a list or a dictionary cannot be a key; make a tuple, a text or a number of it."
                                 ) from error
        return key

    def same(a, b):
        return hash(a) == hash(b) and bool(a == b)

    key = ask()
    if not same(ask(), key):
        return ("equal inputs give different keys: a tensor is hashed by where it lies in memory, not by what it "
                "holds. Use its numbers.")
    others = (
        ("the pooling is not part of the key.", {"pooling": "cls"}),
        ("the weights are not part of the key.", {"weights": (((9.0, -4.0), (7.0, 8.0)), (0.5,))}),
        ("the texts are not part of the key.", {"texts": ("cold tea", "rude staff")}),
        ("only how many texts there are, or how long, is part of the key.", {"texts": ("gold soup", "late bun")}),
        ("the order of the texts is lost, and with it whose vector is whose.", {"texts": ("late bus", "good soup")}),
        ("where one text ends and the next begins is lost: keep them apart.", {"texts": ("good souplate", " bus")}),
        ("where one text ends and the next begins is lost: keep them apart.", {"texts": ("good", "soup late bus")}),
        ("a repeated text is lost: the vectors would be one row short.",
         {"texts": ("good soup", "late bus", "late bus")}),
        ("two weights that change places leave the key as it is: a sum or mean is no checksum.",
         {"weights": (((2.0, 1.0), (4.0, 5.0)), (3.0,))}),
        ("only the first weights count: take all tensors.", {"weights": (((1.0, 2.0), (4.0, 5.0)), (6.0,))}),
        ("a small change of a weight is not noticed: do not round.",
         {"weights": (((1.0, 2.00001), (4.0, 5.0)), (3.0,))}),
    )
    for hint, change in others:
        if same(ask(**change), key):
            return hint
    if any(same(ask(texts=(f"good{mark}soup",)), ask(texts=("good", "soup"))) for mark in "\n\t,;|\0"):
        return "a text may hold the very mark that you put between two: a tuple, or `repr`, keeps them apart."
    long = torch.arange(5000.0)
    changed = long.clone()
    changed[2500] += 1
    if same(ask([long.tolist()]), ask([changed.tolist()])):
        return ("in a large tensor a change in the middle is not noticed: when printed, as text, it is shortened. "
                "Take its bytes or its list.")
    return None
