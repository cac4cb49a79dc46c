"""Checks of lesson 06, inside BERT."""

from types import SimpleNamespace

import numpy as np

from .answers import WrongFormError, as_list, close, exercise, function, number, plain


@exercise("06.1")
@function
def _norm_rows(norm):
    x = np.array([[1.0, 2.0, 3.0, 6.0], [0.5, -0.5, 4.0, 0.0], [10.0, 30.0, 20.0, 80.0]])
    gain, offset, epsilon = np.array([1.0, 2.0, 0.5, 3.0]), np.array([0.0, 1.0, -1.0, 0.5]), 0.25

    def right(axis=-1, ddof=0, gain=gain, offset=offset, epsilon=epsilon, outside=False):
        spread = x.var(axis=axis, ddof=ddof, keepdims=True)
        below = np.sqrt(spread) + epsilon if outside else np.sqrt(spread + epsilon)
        return gain * (x - x.mean(axis=axis, keepdims=True)) / below + offset

    got = plain(norm(x.copy(), gain.copy(), offset.copy(), epsilon))
    if got.shape != x.shape:
        return f"the shape should stay {x.shape}, it is {got.shape}."
    if np.allclose(got, right()):
        return None
    if any(np.allclose(got, right(axis=0, ddof=ddof)) for ddof in (0, 1)):
        return "you standardised the columns, over the tokens; layer norm takes each row over its own numbers."
    if any(np.allclose(got, right(axis=None, ddof=ddof)) for ddof in (0, 1)):
        return "one mean was taken over all tokens; each row has its own (axis=-1, keepdims=True)."
    if np.allclose(got, right(ddof=1)):
        return "the variance divides by d − 1 here; layer norm divides by d (torch's `var` needs unbiased=False)."
    if np.allclose(got, right(epsilon=0)):
        return "epsilon is missing: it is added to the variance."
    if np.allclose(got, right(outside=True)):
        return "epsilon belongs under the root, beside the variance."
    if np.allclose(got, right(gain=1, offset=0)):
        return "standardised rightly, but gain and offset are not used."
    if np.allclose(got, right(offset=0)) or np.allclose(got, right(gain=1)):
        return "one of gain and offset is missing: multiply by the gain, then add the offset."
    if np.allclose(got, gain * (x - x.mean(axis=-1, keepdims=True)) / (x.var(axis=-1, keepdims=True) + epsilon)
                   + offset):
        return "divide by the square root of the variance, not by the variance."
    return "from each row take its mean, divide by the root of variance + epsilon, times gain, plus offset."


@exercise("06.2")
@function
def _count(count):
    def config(V=50, P=20, S=3, d=8, m=20, L=3):
        return SimpleNamespace(vocab_size=V, max_position_embeddings=P, type_vocab_size=S, hidden_size=d,
                               intermediate_size=m, num_hidden_layers=L, num_attention_heads=2)

    def right(c):
        V, P, S, d, m, L = (c.vocab_size, c.max_position_embeddings, c.type_vocab_size, c.hidden_size,
                            c.intermediate_size, c.num_hidden_layers)
        biases = {"block": 4 * d + m + d, "pooler": d}
        block = 4 * d * d + 2 * d * m + 4 * d + biases["block"]
        return V * d + P * d + S * d + 2 * d + L * block + d * d + d, biases

    c = config()
    got, (total, biases) = number(count(c)), right(c)
    d, m, L, P = c.hidden_size, c.intermediate_size, c.num_hidden_layers, c.max_position_embeddings
    if close(got, total):
        if not all(close(number(count(other)), right(other)[0])
                   for other in (config(V=11, P=7, S=1, d=4, m=6, L=1), config(S=2, m=64, L=5))):
            return "right for one configuration, wrong for another: take every number from the configuration."
        return None
    if close(got, right(config(m=4 * d))[0]):
        return "you took 4d for the feed-forward network; here it is config.intermediate_size."
    for lacking, what in (
            (L * biases["block"] + biases["pooler"], "the biases are missing: a dense layer from n to k has n·k + k."),
            (L * (m + d), "the biases of the feed-forward network are missing."),
            (L * 4 * d, "the biases of the attention, or the layer norms of the blocks, are missing: 4d each."),
            (L * 4 * d + 2 * d, "the layer norms are missing: gain and offset, twice a block and once at the start."),
            (2 * d, "one layer norm is missing: the one of the embeddings."),
            (d * d + d, "the pooler is missing: a dense layer from d to d."),
            (P * d, "the table of positions is missing."),
            (c.type_vocab_size * d, "the table of token types is missing."),
            ((P + c.type_vocab_size) * d, "the tables of positions and of token types are missing."),
            (L * d * d, "attention has four tables of d × d: queries, keys, values, and the one that mixes."),
            (L * (d * d + d), "attention has four tables of d × d: queries, keys, values, and the one that mixes.")):
        if close(got, total - lacking):
            return what
    if close(got, total - (L - 1) * (4 * d * d + 2 * d * m + 4 * d + biases["block"])):
        return f"that is one block; the configuration has {L}."
    return f"for V=50, P=20, 3 types, d=8, a feed-forward width of 20 and 3 blocks it is not {got:g}."


@exercise("06.3")
@function
def _hide(hide):
    special, mask_id = [101, 102], 103
    ids = [101, 7, 8, 9, 8, 102]
    chosen = [True, False, True, False, True, True]
    given = list(ids)
    found = as_list(hide(given, list(chosen), list(special), mask_id))
    if len(found) != 2:
        return "give back two lists: the input and the labels."
    inputs, labels = (plain(as_list(part)) for part in found)
    if inputs.shape != (6,) or labels.shape != (6,):
        return "both lists should be as long as `ids`."
    want_inputs, want_labels = [101, 7, 103, 9, 103, 102], [-100, -100, 8, -100, 8, -100]
    ignored = labels == -100
    if (inputs == want_inputs).all() and (labels == want_labels).all():
        if given != ids:
            return "your function changes the list it was given; work on a copy."
        inputs, labels = (plain(as_list(part)) for part in hide([5, 6], [False, False], [], 1))
        if inputs.tolist() != [5, 6] or labels.tolist() != [-100, -100]:
            return "where nothing is chosen the input stays as it is and there is nothing to guess."
        inputs, labels = (plain(as_list(part)) for part in hide([7, 1, 9], [True, True, True], [1, 2], 50))
        if inputs.tolist() != [50, 1, 50] or labels.tolist() != [7, -100, 9]:
            return "right for these `ids`, wrong for others: go by `special` and `mask_id`, not by place or number."
        return None
    if inputs[0] == mask_id or inputs[-1] == mask_id:
        return "a special token was hidden; [CLS] and [SEP] say nothing that could be guessed."
    if not ignored[0] or not ignored[-1]:
        if not ignored.any():
            return "the loss would be taken on every token; the label is −100 where nothing is hidden."
        return "special tokens are no gaps: their label is −100."
    if (ignored == (np.array(want_labels) != -100)).all() or (ignored[[2, 4]].all() and not ignored[[1, 3]].any()):
        return "the labels are the wrong way round: −100 belongs where nothing is hidden."
    if not ignored[[1, 3]].all():
        return "the label is −100 where nothing is hidden; your loss would count tokens that anyone can read."
    if (labels[[2, 4]] == mask_id).all():
        return "the label of a gap is the token that stood there, not [MASK]: keep it before you overwrite it."
    if (inputs == ids).all():
        return "the gaps still show the answer: put mask_id there."
    return f"for ids {ids} the input should be {want_inputs} and the labels {want_labels}."


@exercise("06.4")
@function
def _loss_of(loss):
    C, tau = np.array([[0.9, 0.1, 0.3], [0.2, 0.5, 0.6], [0.0, 0.4, 0.7]]), 5.0

    def right(C, tau):
        e = np.exp(tau * C)
        return -np.log(np.diag(e) / e.sum(axis=1))

    try:
        got = number(loss(C.copy(), tau))
    except WrongFormError as error:
        raise WrongFormError(f"{error} Take the mean over the texts." if "one number" in str(error) else str(error)
                             ) from error
    each = right(C, tau)
    if close(got, each.mean()):
        with np.errstate(all="ignore"):
            if not close(number(loss(np.eye(2), 3.0)), right(np.eye(2), 3.0).mean()):
                return "right for three pairs and tau = 5, wrong for others: use the arguments."
        return None
    if close(got, -each.mean()):
        return "a loss is small when partners find each other: mind the minus sign."
    if close(got, each.sum()):
        return "this is the sum; divide by the number of pairs."
    if close(got, right(C.T, tau).mean()):
        return "the softmax runs the wrong way: each u has to find its v, so the sum goes along a row."
    if close(got, right(C, 1.0).mean()):
        return "tau is missing: it multiplies the cosines before the exponential."
    if close(got, right(C, 1 / tau).mean()):
        return "you divide by tau; here it multiplies."
    e = np.exp(tau * C)
    if close(got, -np.log(np.diag(e) / (e.sum(axis=1) - np.diag(e))).mean()):
        return "the partner itself belongs into the sum below the line as well."
    if close(got, -np.log(np.diag(e) / e.sum()).mean()):
        return "the sum below the line goes over one row, not over the whole table."
    return f"for the table {C.tolist()} and tau = 5 it is not {got:.4f}."
