"""Checks of lesson 02, training."""

import numpy as np

from .answers import as_list, close, exercise, function, number, plain


@exercise("02.1")
@function
def _steps(count):
    got = number(count(1000, 32, 3))
    more = {(64, 32, 2): 4, (5, 8, 1): 1, (96, 32, 1): 3, (97, 32, 2): 8}
    if got == 96 and all(number(count(*sizes)) == steps for sizes, steps in more.items()):
        return None
    if got == 93:
        return "1000 / 32 is not a whole number: what happens to the 8 examples that are left over in each epoch?"
    if got == 94:
        return "the left-over examples make a small batch in every epoch, not one at the very end."
    if got == 32:
        return "that is the number for one epoch."
    if got == 96:
        return "right for 1000 examples, wrong where they divide evenly (96, 32, 1) or fill no batch (5, 8, 1)."
    return f"for 1000 examples, batches of 32 and 3 epochs it is not {got:g}."


@exercise("02.2")
@function
def _momentum(step):
    w, v = (number(part) for part in as_list(step(1.0, 0.5, 2.0, 0.1, 0.9)))
    if close(v, 2.45) and close(w, 1.0 - 0.245):
        w, v = (number(part) for part in as_list(step(3.0, -1.0, 4.0, 0.3, 0.5)))
        if not (close(v, 3.5) and close(w, 3.0 - 1.05)):
            return "right for lr = 0.1 and mu = 0.9, wrong for others: use the arguments, not fixed numbers."
        return None
    if close(v, 0.65) and (close(w, 1.0 - 0.065) or close(w, 1.0 - 0.65)):
        return "the gradient enters the velocity times 0.1; in this lesson it enters whole."
    if close(w, 0.8):
        return "this is plain SGD: the velocity of the last step is forgotten."
    if close(w, 1.245):
        return "you walk uphill: mind the sign."
    if close(v, 2.45) and close(w, 1.0 - 0.05):
        return "the step should use the new velocity, not the old one."
    if close(w, 2.45) and close(v, 1.0 - 0.245):
        return "the two stand the wrong way round: the weight comes first, then the velocity."
    return "the velocity is the old one times mu, plus the gradient; the weight moves by lr times the new velocity."


@exercise("02.3")
@function
def _standardise(function):
    train = np.array([[0.0, 100.0], [1.0, 300.0], [5.0, 500.0], [2.0, 900.0]])
    new = np.array([[2.0, 700.0], [6.0, 300.0]])
    got = as_list(function(train.copy(), new.copy()))
    if len(got) != 2:
        return "give back two arrays: the standardised training rows and the standardised new rows."
    a, b = (plain(part) for part in got)
    if a.shape != train.shape or b.shape != new.shape:
        return f"the shapes should stay {train.shape} and {new.shape}, they are {a.shape} and {b.shape}."
    for ddof in (0, 1):
        mean, std = train.mean(axis=0), train.std(axis=0, ddof=ddof)
        if np.allclose(a, (train - mean) / std) and np.allclose(b, (new - mean) / std):
            return None
    if np.allclose(b, (new - new.mean(axis=0)) / new.std(axis=0)):
        return ("the new rows were standardised by their own mean and spread. In use they come one at a time, and "
                "the model has learnt on the training scale.")
    both = np.vstack([train, new])
    if np.allclose(a, (train - both.mean(axis=0)) / both.std(axis=0)):
        return "the new rows had a say in mean and spread: that leaks them into training."
    if np.allclose(a, (train - train.mean()) / train.std()):
        return "one mean was taken over both columns; each column has a unit of its own."
    if np.allclose(a, train - train.mean(axis=0)):
        return "centred, but not divided by the standard deviation."
    return "from each column take the training mean, then divide by the training standard deviation."
