"""Checks of lesson 11, overfitting and cures."""

import numpy as np
import torch

from .answers import close, exercise, function, number, plain


@exercise("11.1")
@function
def _shrinkage(shrinkage):
    for lr, decay, steps in ((2e-4, 10.0, 140), (1e-2, 5.0, 1), (1e-3, 1.0, 3000)):
        got, right = number(shrinkage(lr, decay, steps)), 1 - (1 - lr * decay) ** steps
        if close(got, right):
            continue
        where = f"for a rate of {lr:g}, a decay of {decay:g} and {steps} updates"
        if close(got, 1 - right):
            return "this is the share that is left; asked is the share that is gone."
        if close(got, 100 * right):
            return "give a share between 0 and 1, not per cent."
        if close(got, lr * decay * steps):
            return (f"{where} the product lr · decay · steps is {got:.3f}. Each update takes its share of what is "
                    "left, not of the start: multiply the factors.")
        if close(got, 1 - (1 - decay) ** steps) or close(got, decay):
            return "AdamW multiplies the decay by the learning rate: a factor of 1 − lr · decay at each update."
        if close(got, 1 - (1 - lr) ** steps):
            return "the decay is not used: a factor of 1 − lr · decay at each update."
        return f"{where} the share should be {right:.4f}; yours is {got:.4f}."
    return None


EQUAL = [0.9, 0.9, 0.9, 0.95]


@exercise("11.2")
@function
def _stop_at(stop_at):
    cases = [([1.0, 0.9, 0.8, 0.85, 0.87, 0.9, 0.95], 2, (3, 5)), ([1.0, 0.9, 0.8], 2, (3, 3)),
             ([1.0, 0.8, 0.9, 0.7, 0.75, 0.8, 0.6], 2, (4, 6)), (EQUAL, 2, (1, 3)), ([0.5, 0.6, 0.4], 1, (1, 2)),
             ([1.0, 0.8, 0.9, 0.85, 0.7], 3, (5, 5)), ([1.0, 0.8, 0.9, 0.85, 0.95, 0.97, 0.99], 2, (2, 4))]
    for losses, patience, right in cases:
        got = plain(stop_at(list(losses), patience)).ravel()
        if got.size != 2:
            return f"give back two numbers, the epoch that is kept and the last one that runs, not {got.size}."
        if not all(float(epoch).is_integer() for epoch in got):
            return f"both are numbers of epochs, whole numbers, not {got[0]:g} and {got[1]:g}."
        kept, last = (int(epoch) for epoch in got)
        if (kept, last) == right:
            continue
        where = f"losses {losses} with a patience of {patience}"
        if (kept, last) == (right[0] - 1, right[1] - 1):
            return "epochs are counted from 1 here."
        if kept == last == right[1] and right[0] != right[1]:
            return f"{where}: the weights to keep are those of the best epoch, not of the last one that ran."
        if kept == int(np.argmin(losses)) + 1 and kept > right[1]:
            return f"{where}: the run had stopped after epoch {right[1]}; what would have come later cannot be kept."
        if kept == right[0] and last == right[1] + 1:
            return f"{where}: stops one epoch late; {patience} epochs without a new lowest are enough."
        if (right, kept, last) == ((4, 6), 4, 5):
            return f"{where}: the count goes on after a new lowest; a new lowest sets it back to 0."
        if (right, kept, last) == ((2, 4), 2, 6):
            return f"{where}: an epoch that beats the one before is no new lowest; compare with the best so far."
        if kept == right[0] and last == right[1] - 1:
            return f"{where}: stops one epoch early; the lowest epoch itself does not count among the {patience}."
        if kept == right[0] and last == len(losses):
            return f"{where}: nothing stops the run. Count the epochs since the lowest; a new lowest resets the count."
        if losses == EQUAL:
            return f"{where}: an equal loss is not a new lowest one."
        return f"{where}: kept should be epoch {right[0]} and the last epoch {right[1]}; yours are {kept} and {last}."
    return None


@exercise("11.3")
@function
def _smoothed(smoothed):
    for labels, count, epsilon in (([2, 0], 4, 0.2), ([1], 2, 0.1), ([0, 1, 2], 3, 0.0)):
        got = plain(smoothed(list(labels), count, epsilon))
        hard = np.eye(count)[labels]
        right = (1 - epsilon) * hard + epsilon / count
        if got.shape != right.shape:
            return f"for {len(labels)} texts and {count} labels the shape is {right.shape}, not {got.shape}."
        if np.allclose(got, right, atol=1e-6):
            continue
        if np.allclose(got, hard) and epsilon:
            return "nothing is softened: the right label still has 1."
        if count > 2 and np.allclose(got, (1 - epsilon) * hard + epsilon / (count - 1) * (1 - hard), atol=1e-6):
            return ("ε is spread over the wrong labels alone. In label smoothing it is spread over all labels, the "
                    "right one included.")
        if np.allclose(got, (1 - epsilon) * hard + epsilon, atol=1e-6):
            return f"each label gets the whole ε; it is shared among the {count}. A row must sum to 1."
        if not np.allclose(got.sum(axis=1), 1, atol=1e-6):
            return f"a row is a distribution and must sum to 1; yours sums to {got[0].sum():.3f}."
        if count == 2 and np.allclose(got, (1 - epsilon) * hard + epsilon * (1 - hard), atol=1e-6):
            return "ε goes to the other label alone; it is spread over all labels, the right one included."
        shown = ", ".join(f"{value:.3g}" for value in right[0])
        return f"label {labels[0]} of {count} with ε = {epsilon:g} should become [{shown}]."
    return None


@exercise("11.4")
@function
def _worst_step(worst_step):
    gradient = torch.tensor(np.random.default_rng(5).normal(size=(3, 4, 2)), dtype=torch.float32)
    gradient[1] *= 100
    right = 0.5 * gradient / gradient.flatten(1).norm(dim=1)[:, None, None]
    kept = gradient.clone()
    got = torch.as_tensor(plain(worst_step(gradient, 0.5)), dtype=torch.float32)
    if got.shape != right.shape:
        return f"the step has the gradient's shape, {tuple(right.shape)}, not {tuple(got.shape)}."
    if not torch.equal(gradient, kept):
        return "the gradient that was given has been changed; make a new tensor instead."
    if torch.allclose(got, -right, atol=1e-5):
        return "this step lowers the loss: that is training. The worst step goes along the gradient, not against it."
    if torch.allclose(got, 0.5 * gradient / gradient.norm(), atol=1e-5):
        return ("the length is shared by the whole batch, so that a text with a small gradient hardly moves: divide by "
                "each text's own length.")
    if torch.allclose(got, 0.5 * gradient / gradient.norm(dim=2, keepdim=True), atol=1e-5):
        return "every token moves by the full length; it is for all tokens of a text together."
    if torch.allclose(got, 0.5 * gradient.sign(), atol=1e-5):
        return "this is the sign method (FGSM): every entry moves by the length. FGM keeps the gradient's proportions."
    if torch.allclose(got, 0.5 * gradient, atol=1e-5):
        return "the gradient's own length is still in it: divide by it first."
    if not torch.allclose(got, right, atol=1e-5):
        length = float(got.flatten(1).norm(dim=1)[0])
        return f"the first text's step is {length:.3f} long, over all its tokens; asked were 0.5, along its gradient."
    if not torch.allclose(torch.as_tensor(plain(worst_step(gradient, 2.0)), dtype=torch.float32), 4 * right, atol=1e-5):
        return "right for a length of 0.5, wrong for 2: use the argument `length`."
    gradient[2] = 0
    got = torch.as_tensor(plain(worst_step(gradient, 0.5)), dtype=torch.float32)
    if not torch.isfinite(got).all():
        return "right, but a text whose gradient is 0 gets a step that is not a number: keep the divisor above 0."
    if not torch.allclose(got[:2], right[:2], atol=1e-5) or got[2].abs().max() > 1e-6:
        return "right, but not where one text's gradient is 0: that text stays, the others move as before."
    return None
