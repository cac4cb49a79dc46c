"""Right and wrong answers to the exercises of lesson 09, each wrong one with a part of its hint."""

import math

import numpy as np
import torch


def share(t, steps, warmup, decay):
    return min((t + 1) / (warmup + 1) if t < warmup else 1, (steps - t) / decay if t >= steps - decay else 1)


def accumulate(model, X, y, size, weigh=lambda part, n: len(part) / n, clear="first", squeeze=True):
    if clear == "first":
        model.zero_grad()
    for rows in torch.arange(len(y)).split(size):
        if clear == "always":
            model.zero_grad()
        answers = model(X[rows]).squeeze(-1) if squeeze else model(X[rows])
        (weigh(rows, len(y)) * (answers - y[rows]).square().mean()).backward()
    return model.weight.grad


def by_hand(model, X, y, size):
    total = np.zeros(X.shape[1])
    with torch.no_grad():
        for i in range(0, len(y), size):
            error = model(X[i:i + size]).squeeze(-1) - y[i:i + size]
            total += 2 * (error @ X[i:i + size]).numpy() / len(y)
    return total.tolist()


def scaled(w, g, scale, lr, finite=lambda g: bool(torch.isfinite(g).all()), factor=0.5):
    if not finite(g):
        return w, scale * factor
    return w - lr * g.float() / scale, scale


def scaled_in_numpy(w, g, scale, lr):
    g = g.numpy().astype(np.float64)
    return (w.numpy() - lr * g / scale, scale) if np.isfinite(g).all() else [w.tolist(), scale / 2]


def entry_by_entry(w, g, scale, lr):
    finite = torch.isfinite(g)
    return torch.where(finite, w - lr * g.float() / scale, w), scale if finite.all() else scale / 2


def all_at_once(model, X, y, size):
    model.zero_grad()
    (model(X).squeeze(-1) - y).square().mean().backward()
    return model.weight.grad


RIGHT = {
    "09.1": [share, lambda *numbers: np.float32(share(*numbers)), lambda *numbers: torch.tensor(share(*numbers))],
    "09.2": [accumulate, by_hand, lambda *given: accumulate(*given).numpy().ravel()],
    "09.3": [lambda weights, trained: 4 * weights + 12 * trained,
             lambda weights, trained: np.int64(16 * trained + 4 * (weights - trained))],
    "09.4": [scaled, scaled_in_numpy],
}

WRONG = {
    "09.1": [(lambda t, steps, warmup, decay: share(t, steps, 0, decay), "no warm-up"),
             (lambda t, steps, warmup, decay: share(t, steps, warmup, 1), "no decay"),
             (lambda t, steps, warmup, decay: min(t / warmup, 1, (steps - t) / decay), "work for nothing"),
             (lambda t, steps, warmup, decay: min((t + 1) / warmup, 1, (steps - t) / decay), "one update too early"),
             (lambda t, steps, warmup, decay: min(share(t, steps, warmup, 1), (steps - t - 1) / decay), "one off"),
             (lambda t, steps, warmup, decay: min(share(t, steps, warmup, 1), (steps - t - 1) / (decay - 1)),
              "fall in fifths"),
             (lambda t, steps, warmup, decay: (t + 1) / (warmup + 1) if t < warmup else (steps - t) / (steps - warmup),
              "falls at once"),
             (lambda t, steps, warmup, decay: min(share(t, steps, warmup, decay), 0.9), "should be"),
             (lambda t, steps, warmup, decay: share(t, steps, warmup, decay)
              if t < steps - decay else (1 + share(t, steps, warmup, decay)) / 2, "too high"),
             (lambda t, steps, warmup, decay: (t + 1) / (warmup + 1) if t < steps - decay else (steps - t) / decay,
              "nowhere is it above 1"),
             (lambda t, steps, warmup, decay: share(t, steps, warmup, decay)
              if t < steps - decay else 1 - (t - steps + decay) / 2, "below 0"),
             (lambda t, steps, warmup, decay: min(t / (warmup + 1), 1, (steps - t) / decay), "work for nothing"),
             (lambda t, steps, warmup, decay: share(t, steps, warmup or 4, decay), "with warmup = 0"),
             (lambda t, steps, warmup, decay: share(t, steps, warmup, decay or 5), "with decay = 0"),
             (lambda t, steps, warmup, decay: share(t, steps, warmup and 4, decay and 5), "wrong for 12"),
             (lambda t, steps, warmup, decay: share(t, 20, 4, 5), "wrong"),
             (lambda t, steps, warmup, decay: str(share(t, steps, warmup, decay)), "not text")],
    "09.2": [(all_at_once, "10 rows went through the model at once"),
             (lambda model, X, y, size: accumulate(model, X, y, size + 1), "5 rows went through"),
             (lambda *given: accumulate(*given, weigh=lambda part, n: 1), "without dividing"),
             (lambda *given: accumulate(*given, weigh=lambda part, n: 1 / 3), "mean of the parts' means"),
             (lambda *given: accumulate(*given, clear="always"), "only the last part"),
             (lambda *given: accumulate(*given, clear="always", weigh=lambda part, n: 1), "only the last part"),
             (lambda *given: accumulate(*given, clear="never"), "left over"),
             (lambda *given: accumulate(*given, weigh=lambda part, n: len(part)), "gradient of the sum"),
             (lambda *given: accumulate(*given, squeeze=False), "squeeze"),
             (lambda *given: accumulate(*given, weigh=lambda part, n: len(part) / n if len(part) == 4 else 0),
              "smaller part is missing"),
             (lambda model, X, y, size: accumulate(model, X[:8], y[:8], size), "smaller part is missing"),
             (lambda *given: accumulate(*given, weigh=lambda part, n: 0.4 if len(part) == 4 else 0.2), "parts of 5"),
             (lambda model, X, y, size: accumulate(model, X[:size], y[:size], size), "only the first part"),
             (lambda model, X, y, size: [by_hand(model, X, y, size)[0]], "3 numbers"),
             (lambda model, X, y, size: accumulate(model, X, y, size) and None, "RuntimeError")],
    "09.3": [(lambda weights, trained: 4 * weights, "weights alone"),
             (lambda weights, trained: 4 * weights + 4 * trained, "two means are missing"),
             (lambda weights, trained: 4 * weights + 8 * trained, "gradients are missing"),
             (lambda weights, trained: 2 * weights + 6 * trained, "16-bit"),
             (lambda weights, trained: 16 * weights, "frozen weight needs"),
             (lambda weights, trained: 16 * trained, "must be in memory"),
             (lambda weights, trained: 12 * weights + 4 * trained, "no means"),
             (lambda weights, trained: 8 * weights + 8 * trained, "no gradient"),
             (lambda weights, trained: 8 * weights + 24 * trained, "64-bit"),
             (lambda weights, trained: 4, "how many numbers")],
    "09.4": [(lambda w, g, scale, lr: scaled(w, g, 1, lr)[:1] + (scale,), "still multiplied"),
             (lambda w, g, scale, lr: (w - lr * g.float() / scale, scale), "test the gradient first"),
             (lambda w, g, scale, lr: scaled(w, g, scale, lr, factor=1), "has to be halved"),
             (lambda w, g, scale, lr: scaled(w, g, scale, lr, factor=0), "half of 1024"),
             (lambda w, g, scale, lr: scaled(w, g, scale, -lr), "uphill"),
             (lambda w, g, scale, lr: scaled(w, g, scale, lr, finite=lambda g: not torch.isinf(g).any()), "nan is not"),
             (lambda w, g, scale, lr: scaled(w, g, scale, lr, finite=lambda g: (g < math.inf).all()), "−∞ is not"),
             (lambda w, g, scale, lr: (scaled(w, g, scale, lr, finite=lambda g: not torch.isinf(g).any())[0],
                                       scaled(w, g, scale, lr)[1]), "nan is not"),
             (lambda w, g, scale, lr: (scaled(w, g, scale, lr)[0], scale if torch.isnan(g).any() else
                                       scaled(w, g, scale, lr)[1]), "nan is not"),
             (lambda w, g, scale, lr: scaled(w, g, scale, 2 * lr), "a finite gradient should move"),
             (lambda w, g, scale, lr: (w, scale / 2) if not torch.isfinite(g).all() else (w - lr * (g / scale), scale),
              "becomes 0 again"),
             (lambda w, g, scale, lr: (w, scale / 2) if not torch.isfinite(g).all() else
              (w - lr * (g / 256).float() / (scale / 256), scale), "loses its digits"),
             (lambda w, g, scale, lr: (w, scale / 2) if not torch.isfinite(g).all() else (w - lr * g / scale, scale),
              "in fp16"),
             (lambda w, g, scale, lr: (w, scale / 2) if not torch.isfinite(g).all() else (w - (lr / scale) * g, scale),
              "a small step becomes 0"),
             (entry_by_entry, "untouched"),
             (lambda w, g, scale, lr: (scaled(w, g, scale, lr)[0], scale / 2), "stay as it was"),
             (lambda w, g, scale, lr: scaled(w, g, scale, lr)[0], "two things")],
}
