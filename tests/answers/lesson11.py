"""Right and wrong answers to the exercises of lesson 11, each wrong one with a part of its hint."""

import math

import numpy as np
import torch


def stop_at(losses, patience, better=lambda loss, lowest: loss < lowest, late=0):
    lowest, kept = math.inf, 0
    for epoch, loss in enumerate(losses, 1):
        if better(loss, lowest):
            lowest, kept = loss, epoch
        elif epoch - kept >= patience + late:
            return kept, epoch
    return kept, len(losses)


def than_the_one_before(losses, patience):
    bad, last = 0, len(losses)
    for epoch in range(1, len(losses)):
        bad = 0 if losses[epoch] < losses[epoch - 1] else bad + 1
        if bad == patience:
            last = epoch + 1
            break
    return int(np.argmin(losses[:last])) + 1, last


def never_reset(losses, patience):
    best, kept, bad = math.inf, 0, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, kept = loss, epoch
        else:
            bad += 1
            if bad == patience:
                return kept, epoch
    return kept, len(losses)


def in_a_loop(losses, patience):
    best, since, epoch = losses[0], 0, 1
    kept = 1
    while epoch < len(losses) and since < patience:
        epoch += 1
        if losses[epoch - 1] < best:
            best, since, kept = losses[epoch - 1], 0, epoch
        else:
            since += 1
    return [kept, epoch]


def smoothed(labels, count, epsilon):
    return (1 - epsilon) * np.eye(count)[labels] + epsilon / count


def worst_step(gradient, length):
    return length * gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]


def in_numpy(gradient, length):
    g = gradient.numpy()
    norms = np.sqrt((g ** 2).sum(axis=(1, 2), keepdims=True))
    return length * np.divide(g, norms, out=np.zeros_like(g), where=norms > 0)


def in_place(gradient, length):
    gradient *= length / gradient.flatten(1).norm(dim=1).clamp(min=1e-12)[:, None, None]
    return gradient


RIGHT = {
    "11.1": [lambda lr, decay, steps: 1 - (1 - lr * decay) ** steps,
             lambda lr, decay, steps: 1 - math.prod([1 - lr * decay] * steps),
             lambda lr, decay, steps: -np.expm1(steps * np.log1p(-lr * decay))],
    "11.2": [stop_at, in_a_loop, lambda losses, patience: np.array(stop_at(losses, patience))],
    "11.3": [smoothed, lambda *given: torch.tensor(smoothed(*given)), lambda *given: smoothed(*given).tolist()],
    "11.4": [worst_step, in_numpy],
}

WRONG = {
    "11.1": [(lambda lr, decay, steps: lr * decay * steps, "multiply the factors"),
             (lambda lr, decay, steps: (1 - lr * decay) ** steps, "the share that is left"),
             (lambda lr, decay, steps: 1 - (1 - decay) ** steps, "multiplies the decay by the learning rate"),
             (lambda lr, decay, steps: 1 - (1 - lr) ** steps, "the decay is not used"),
             (lambda lr, decay, steps: decay, "multiplies the decay by the learning rate"),
             (lambda lr, decay, steps: 100 * (1 - (1 - lr * decay) ** steps), "not per cent")],
    "11.2": [(than_the_one_before, "beats the one before"), (never_reset, "sets it back to 0"),
             (lambda losses, patience: (1, None), "one of the values is None"),
             (lambda losses, patience: (int(np.argmin(losses)) + 1, stop_at(losses, patience)[1]),
              "what would have come later cannot be kept"),
             (lambda losses, patience: (stop_at(losses, patience)[1],) * 2, "not of the last one that ran"),
             (lambda losses, patience: tuple(epoch - 1 for epoch in stop_at(losses, patience)), "counted from 1"),
             (lambda losses, patience: stop_at(losses, patience, late=1), "one epoch late"),
             (lambda losses, patience: stop_at(losses, patience, late=-1), "one epoch early"),
             (lambda losses, patience: stop_at(losses, patience, better=lambda a, b: a <= b), "an equal loss"),
             (lambda losses, patience: stop_at(losses, patience)[0], "two numbers"),
             *((lambda losses, patience, kept=kept: (kept, stop_at(losses, patience)[1]), "whole numbers")
               for kept in (math.nan, math.inf, 3.5)),
             (lambda losses, patience: (stop_at(losses, patience)[0], len(losses)), "nothing stops the run")],
    "11.3": [(lambda labels, count, epsilon: np.eye(count)[labels], "nothing is softened"),
             (lambda labels, count, epsilon: (1 - epsilon) * np.eye(count)[labels]
              + epsilon / (count - 1) * (1 - np.eye(count)[labels]), "over the wrong labels alone"),
             (lambda labels, count, epsilon: (1 - epsilon) * np.eye(count)[labels] + epsilon, "the whole ε"),
             (lambda labels, count, epsilon: (1 - epsilon) * np.eye(count)[labels], "must sum to 1"),
             (lambda labels, count, epsilon: smoothed(labels, count, epsilon).T, "the shape is"),
             (lambda labels, count, epsilon: smoothed(labels, count, epsilon)[:1], "the shape is"),
             (lambda labels, count, epsilon: smoothed(labels, count, epsilon) if count > 2 else
              np.array([[epsilon, 1 - epsilon]]), "to the other label alone")],
    "11.4": [(lambda gradient, length: -worst_step(gradient, length), "lowers the loss"),
             (lambda gradient, length: length * gradient / gradient.norm(), "shared by the whole batch"),
             (lambda gradient, length: length * gradient / gradient.norm(dim=2, keepdim=True), "every token moves"),
             (lambda gradient, length: length * gradient.sign(), "sign method"),
             (lambda gradient, length: length * gradient, "own length is still in it"),
             (lambda gradient, length: length * gradient / gradient.flatten(1).norm(dim=1)[:, None, None],
              "not a number"),
             (in_place, "has been changed"),
             (lambda gradient, length: worst_step(gradient, length)[0], "the gradient's shape"),
             (lambda gradient, length: worst_step(gradient, 1.0), "is 1.000 long"),
             (lambda gradient, length: worst_step(gradient, 0.5), "use the argument `length`"),
             (lambda gradient, length: worst_step(gradient, length if gradient[2].any() else 0), "the others move"),
             (lambda gradient, length: worst_step(gradient + (gradient == 0), length), "that text stays")],
}
