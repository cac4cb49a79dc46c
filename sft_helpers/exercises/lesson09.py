"""Checks of lesson 09, training in practice."""

import numpy as np
import torch
from torch import nn

from .answers import as_list, close, exercise, function, number, plain


@exercise("09.1")
@function
def _schedule(share_of):
    steps, warmup, decay = 20, 4, 5
    got = [number(share_of(t, steps, warmup, decay)) for t in range(steps)]
    right = [0.2, 0.4, 0.6, 0.8] + [1.0] * 11 + [1.0, 0.8, 0.6, 0.4, 0.2]
    if np.allclose(got, right):
        if not close(number(share_of(0, 10, 0, 2)), 1.0):
            return "right with a warm-up, wrong without: with warmup = 0 the first update already has share 1."
        if not close(number(share_of(9, 10, 2, 0)), 1.0):
            return "right with a decay, wrong without: with decay = 0 the last update still has share 1."
        other = [number(share_of(t, 12, 3, 4)) for t in range(12)]
        if not np.allclose(other, [0.25, 0.5, 0.75] + [1.0] * 5 + [1.0, 0.75, 0.5, 0.25]):
            return "right for 20 updates, wrong for 12: use the arguments, not fixed numbers."
        return None
    start, end = got[:warmup], got[-decay:]
    if any(share > 1 + 1e-9 for share in got):
        return f"update {int(np.argmax(got))} gets a share of {max(got):.2f}; nowhere is it above 1."
    if any(share < -1e-9 for share in got):
        return f"update {int(np.argmin(got))} gets a share of {min(got):.2f}, below 0: mind where the decay begins."
    if np.allclose(start, 1):
        return "there is no warm-up: the first update already runs at the full rate."
    if np.allclose(start, [0, 0.25, 0.5, 0.75]) or np.allclose(start, [0, 0.2, 0.4, 0.6]):
        return "the first update has share 0 and would be work for nothing: t counts from 0, so climb with t + 1."
    if np.allclose(start, [0.25, 0.5, 0.75, 1]):
        return "the warm-up reaches 1 one update too early: divide by warmup + 1."
    if np.allclose(end, 1):
        return "there is no decay: the run ends at the full rate."
    if np.allclose(end, [0.8, 0.6, 0.4, 0.2, 0]):
        return "one off: the last update has share 0; it is the update after the last that would have 0."
    if np.allclose(end, np.linspace(1, 0, decay)):
        return "the last update has share 0; five updates fall in fifths, so that only the update after them has 0."
    if np.allclose(got[warmup:], [(steps - t) / (steps - warmup) for t in range(warmup, steps)]):
        return "this is the lesson's schedule, which falls at once; here the share is held at 1 until the decay."
    if np.allclose(start, [0.2, 0.4, 0.6, 0.8]) and end[-1] > 0.3:
        return (f"the run ends at a share of {end[-1]:.2f}, too high: the last `decay` updates fall in equal steps to "
                "1/decay.")
    wanted, yours = (", ".join(f"{share:.2g}" for share in shares) for shares in (right, got))
    return f"for 20 updates, a warm-up of 4 and a decay of 5 the shares should be {wanted}; yours are {yours}."


def _linear(seed=0):
    random = np.random.default_rng(seed)
    model = nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(random.normal(size=(1, 3))))
    X = torch.tensor(random.normal(size=(10, 3)), dtype=torch.float32)
    y = torch.tensor(random.normal(size=10) + 3, dtype=torch.float32)
    return model, X, y


def _gradient(model, X, y, rows, keep_column=False):
    model.zero_grad()
    answers = model(X[rows]) if keep_column else model(X[rows]).squeeze(-1)
    (answers - y[rows]).square().mean().backward()
    found = model.weight.grad.clone().numpy()
    model.zero_grad()
    return found


@exercise("09.2")
@function
def _accumulate(accumulated):
    model, X, y = _linear()
    whole = _gradient(model, X, y, slice(None))
    parts = [_gradient(model, X, y, slice(i, i + 4)) for i in (0, 4, 8)]
    rows_at_once = []
    watch = model.register_forward_pre_hook(lambda _model, inputs: rows_at_once.append(len(inputs[0])))
    got = plain(accumulated(model, X.clone(), y.clone(), 4))
    watch.remove()
    if got.size != 3:
        return f"give back the gradient of model.weight, 3 numbers here, not {got.size} (shape {got.shape})."
    got = got.reshape(1, 3)
    if np.allclose(got, whole, rtol=1e-4, atol=1e-5):
        if max(rows_at_once, default=0) > 4:
            return f"right, but {max(rows_at_once)} rows went through the model at once; there is memory for 4."
        again = plain(accumulated(model, X.clone(), y.clone(), 4)).reshape(1, 3)
        if not np.allclose(again, whole, rtol=1e-4, atol=1e-5):
            return "right once; called again it adds to the gradient that is left over. Clear it at the start."
        if not np.allclose(plain(accumulated(model, X.clone(), y.clone(), 5)).reshape(1, 3), whole, rtol=1e-4,
                           atol=1e-5):
            return "right for parts of 4, wrong for parts of 5: use size, not a fixed number."
        return None
    if np.allclose(got, sum(parts), rtol=1e-4):
        return "the parts' means are added without dividing: this is too long by about the number of parts."
    if np.allclose(got, sum(parts) / 3, rtol=1e-4):
        return "this is the mean of the parts' means. The last part has only 2 of the 10 rows; weight it by its share."
    if np.allclose(got, 10 * whole, rtol=1e-4):
        return "this is the gradient of the sum over all rows; divide by how many rows there are."
    if any(np.allclose(got, part * share, rtol=1e-4) for part, share in
           [(parts[2], 1), (parts[2], 0.2), (parts[2], 1 / 3), (parts[2], 2)]):
        return "only the last part is left: clear the gradient once, before the first part, not in the loop."
    if any(np.allclose(got, part * share, rtol=1e-4) for part, share in [(parts[0], 1), (parts[0], 0.4)]):
        return "only the first part is in it: `return` inside the loop?"
    if np.allclose(got, sum(parts[:2]) * 0.4, rtol=1e-4) or np.allclose(got, sum(parts[:2]) / 2, rtol=1e-4):
        return "the last, smaller part is missing."
    tables = [_gradient(model, X, y, slice(i, i + 4), keep_column=True) for i in (0, 4, 8)]
    if np.allclose(got, 0.4 * tables[0] + 0.4 * tables[1] + 0.2 * tables[2], rtol=1e-4):
        return ("model(X) has shape (n, 1) and y (n,): subtracted as they are they make an n × n table. Take "
                ".squeeze(-1) first.")
    return "for each part: its mean squared error times its share of all rows, then .backward(), which adds up."


@exercise("09.3")
@function
def _bytes(training_bytes):
    got = number(training_bytes(1000, 1000))
    if got == 16_000:
        part = number(training_bytes(1000, 10))
        if part == 4120:
            return None
        if part == 16_000:
            return "right when all is trained. A frozen weight needs its own 4 bytes and nothing else."
        if part == 160:
            return "the frozen weights must be in memory as well: 4 bytes each."
        if part == 4000 + 40 + 8000:
            return "frozen weights have no means in Adam: an optimizer is given what is trained."
        if part == 4000 + 4000 + 80:
            return "frozen weights have no gradient."
        return f"right when all is trained; for 1,000 weights of which 10 are trained it is not {part:g}."
    if got == 4000:
        return "these are the weights alone; gradients and Adam's means come on top."
    if got == 8000:
        return ("Adam's two means are missing." if number(training_bytes(1000, 0)) == 4000
                else "2 bytes would be 16-bit numbers; in fp32 each has 4.")
    if got == 12_000:
        return ("the gradients are missing, or one of Adam's two means: a weight, its gradient and two means are four "
                "numbers.")
    if got == 32_000:
        return "8 bytes would be 64-bit numbers; in fp32 each has 4."
    if got == 4:
        return "that is how many numbers there are for each weight."
    return f"for 1,000 weights, all of them trained, it is not {got:g} bytes."


@exercise("09.4")
@function
def _scaler(scaled_update):
    w = torch.tensor([1.0, -2.0, 0.5])
    true = torch.tensor([2.0, -0.5, 1e-8])
    scale, lr = 1024.0, 0.5

    def ask(g, scale=scale, lr=lr, w=w):
        found = as_list(scaled_update(w.clone(), g.clone(), scale, lr))
        if len(found) != 2:
            raise _TwoPartsError
        return plain(found[0]).reshape(-1), number(found[1])

    try:
        after, kept = ask((true * scale).half())
        wild = torch.tensor([float("inf"), 1.0, 1.0]).half()
        skipped, halved = ask(wild)
    except _TwoPartsError:
        return "give back two things: the new w and the new scale."
    want = (w - lr * (true * scale).half().float() / scale).numpy()
    if np.allclose(after, (w - lr * (true * scale).half().float()).numpy(), rtol=1e-3):
        return "the gradient is still multiplied by the scale: divide it out before the step."
    if np.allclose(after, (w + lr * (true * scale).half().float() / scale).numpy(), rtol=1e-4):
        return "you walk uphill: mind the sign."
    if not np.allclose(after, want, rtol=1e-4):
        return f"a finite gradient should move w to {np.round(want, 3).tolist()}, not to {np.round(after, 3).tolist()}."
    if kept != scale:
        return "after a good update the scale should stay as it was."
    if not np.isfinite(skipped).all():
        return "an infinite entry got into the weights: test the gradient first, and skip the update."
    if not np.allclose(skipped, w.numpy()):
        return "one infinite entry spoils the whole update: leave all weights untouched, not only that one."
    if halved != scale / 2:
        return ("the update is skipped, and the scale has to be halved, or the next one overflows as well." if
                halved == scale else f"after an overflow the scale should be half of {scale:g}, not {halved:g}.")
    for unseen, name in ((float("nan"), "nan"), (-float("inf"), "−∞")):
        lost, kept = ask(torch.tensor([1.0, unseen, 1.0]).half())
        if not np.array_equal(lost, w.numpy()) or kept != scale / 2:
            return f"infinity is noticed, {name} is not: torch.isfinite knows all of them."
    small, _ = ask((torch.tensor([1e-6, 1e-6, 1e-6]) * 2.0**16 / 1000).half(), scale=2.0**16, lr=1e6,
                   w=torch.zeros(3))
    if np.allclose(small, 0):
        return "divided in fp16 a small gradient becomes 0 again: turn g into fp32 (g.float()) before you divide."
    if not np.allclose(small, -1e-3, rtol=0.02):
        return "a small gradient is divided in fp16, where it loses its digits: use g.float() before you divide."
    tiny, _ = ask((torch.full((3,), 1e-3) * 2.0**16).half(), scale=2.0**16, lr=1e-6, w=torch.zeros(3))
    if not np.allclose(tiny, -1e-9, rtol=0.02, atol=0):
        return "lr and scale meet g in fp16, where a small step becomes 0: use g.float() first."
    return None


class _TwoPartsError(Exception):
    pass
