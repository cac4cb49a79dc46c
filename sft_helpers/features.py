"""Vectors of a frozen backbone, computed once (lesson 07)."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from . import models
from .storage import digest, weights_digest, write

_remembered = {}


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
    Kept under a checksum of everything that they depend on: the backbone's weights as they are now, the
    tokenizer, the texts, pooling and length. What has changed is therefore computed anew.
    """
    texts = list(texts)
    key = digest(weights_digest(model.backbone), model.tokenizer.backend_tokenizer.to_str(), model.pooling,
                  model.max_length, texts)
    if key in _remembered:
        return _remembered[key]
    path = Path(folder) / f"features-{key[:32]}.safetensors" if folder else None
    vectors = _read_features(path, key, len(texts)) if path and path.is_file() else None
    if vectors is None:
        vectors = models.encode(texts, model.backbone, model.tokenizer, pooling=model.pooling,
                                max_length=model.max_length)
        if path:
            write({"features": vectors}, {"key": key, "sha256": digest(vectors)}, path)
    _remembered[key] = vectors
    return vectors


def _tokenizer(tokenizer):
    """What decides on the tokens; how they were last padded and cut is not part of it."""
    about = json.loads(tokenizer.backend_tokenizer.to_str())
    return {name: value for name, value in about.items() if name not in ("padding", "truncation")}


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
