"""Vectors of a frozen backbone, computed once (lesson 07)."""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from sklearn.linear_model import LogisticRegression

from . import models
from .storage import digest, weights_digest, write

_remembered = {}  # key → vectors and their checksum


def compute(model, texts, folder=None):
    """Return the frozen backbone's vectors of texts, computed at most once.

    Parameters
    ----------
    model : models.TextClassifier
    texts : list of str
    folder : str or Path, optional
        Keep them on disk as well.

    Returns
    -------
    Tensor, shape (len(texts), d), on the CPU

    Notes
    -----
    Kept under a checksum of everything that they depend on: the backbone's weights as they are now, its architecture,
    the tokenizer, the texts, pooling and length. What has changed is therefore computed anew, and so are vectors that
    were changed in place.
    """
    texts = models.listed(texts)
    key = digest(weights_digest(model.backbone), models.fingerprint(model.backbone, model.tokenizer), model.pooling,
                 model.max_length, texts)
    path = Path(folder) / f"features-{key[:32]}.safetensors" if folder else None
    vectors, checksum = _remembered.get(key, (None, None))
    if vectors is not None and digest(vectors) == checksum:  # else somebody has changed them since
        if path and not path.is_file():
            write({"features": vectors}, {"key": key, "sha256": checksum}, path)
        return vectors
    vectors = _read_features(path, key, len(texts)) if path and path.is_file() else None
    if vectors is None:
        vectors = models.encode(texts, model.backbone, model.tokenizer, pooling=model.pooling,
                                max_length=model.max_length)
        if path:
            write({"features": vectors}, {"key": key, "sha256": digest(vectors)}, path)
    _remembered[key] = vectors, digest(vectors)
    return vectors


def probe(model, texts, labels, C=0.1, folder=None):
    """Fit a logistic regression to frozen features and make it the model's head (a linear probe).

    Parameters
    ----------
    model : models.TextClassifier
    texts : list of str
    labels : array-like of int
    C : float
        Inverse strength of the penalty, as in scikit-learn.
    folder : str or Path, optional
        As in ``compute``.

    Notes
    -----
    The features are standardised for the fit, and the scaling is then folded into the head, which takes them as they
    are. Features that hardly vary are not blown up: in all-MiniLM-L6-v2 three of 384 are dead.

    References
    ----------
    Alain and Bengio: Understanding Intermediate Layers Using Linear Classifier Probes, ICLR Workshop 2017. As a start
    for full fine-tuning: Kumar et al.: Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution, ICLR 2022.
    """
    weight, bias = fit_head(compute(model, texts, folder), labels, len(model.head.bias), C)
    model.head.load_state_dict({"weight": weight, "bias": bias})


def fit_head(vectors, labels, count, C=0.1, weights=None):
    """Fit a logistic regression to vectors, as the weight and bias of a linear layer (see ``probe``).

    Parameters
    ----------
    vectors : Tensor, shape (n, d)
    labels : array-like of int, shape (n,)
    count : int
        How many labels there are. One that no text has is never predicted.
    C : float
    weights : array-like of float, shape (n,), optional
        How much each text counts; without, each once.

    Returns
    -------
    Tensor, shape (count, d)
    Tensor, shape (count,)

    Raises
    ------
    ValueError
        A label that is not one of the ``count``.
    """
    x = vectors.double().numpy()
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.maximum(spread, 1e-3 * np.median(spread))
    scale[scale == 0] = 1.0
    labels = np.asarray(labels)
    if labels.min() < 0 or labels.max() >= count:  # -1, with which a hub set hides its labels, would be the last one
        raise ValueError(f"The labels lie between 0 and {count - 1}, not between {labels.min()} and {labels.max()}.")
    all_weights, all_biases = torch.zeros(count, x.shape[1]), torch.full((count,), -1e4)
    if len(np.unique(labels)) == 1:  # nothing to tell apart: it is always this one
        all_biases[labels[0]] = 0.0
        return all_weights, all_biases
    fitted = LogisticRegression(C=C, max_iter=10_000).fit((x - mean) / scale, labels, weights)
    weight = fitted.coef_ / scale
    bias = fitted.intercept_ - weight @ mean
    if len(weight) == 1:  # two labels: one score, shared between them
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    all_weights[fitted.classes_] = torch.tensor(weight).float()
    all_biases[fitted.classes_] = torch.tensor(bias).float()
    return all_weights, all_biases


def forget():
    """Free the memory of all features computed so far."""
    _remembered.clear()


def _read_features(path, key, count):
    try:
        with safe_open(path, framework="pt") as file:
            vectors, about = file.get_tensor("features"), file.metadata()
        if about["key"] == key and about["sha256"] == digest(vectors) and len(vectors) == count:
            return vectors
    except (SafetensorError, OSError, KeyError, TypeError):
        pass
    print(f"The features in {path.name} are damaged and are computed anew.")
    return None
