"""Word2Vec and document vectors, taught in lesson 04."""

import numpy as np
from gensim.models import Word2Vec


def train_word2vec(token_lists, seed=0, **settings):
    """Train Word2Vec in one thread, so that the same seed gives the same vectors on the same machine.

    Parameters
    ----------
    token_lists : list of list of str
    seed : int
    **settings
        gensim's own parameters; the course's defaults are ``vector_size=100, window=5, min_count=1``, skip-gram
        (``sg=1``) and ``epochs=30``.

    Returns
    -------
    gensim.models.KeyedVectors

    References
    ----------
    Mikolov, Chen, Corrado, Dean: Efficient Estimation of Word Representations in Vector Space, 2013.
    """
    chosen = {"vector_size": 100, "window": 5, "min_count": 1, "sg": 1, "epochs": 30, "workers": 1, **settings}
    return Word2Vec(token_lists, seed=seed, **chosen).wv


def mean_vectors(token_lists, vectors):
    """Return one vector per text: the mean of its words' vectors.

    Parameters
    ----------
    token_lists : list of list of str
    vectors : mapping from str to ndarray of shape (d,)
        For instance gensim's ``KeyedVectors``. Words it does not hold are left out; a text without any
        known word gets zeros.

    Returns
    -------
    ndarray, shape (len(token_lists), d)
    """
    size = vectors.vector_size if hasattr(vectors, "vector_size") else len(next(iter(vectors.values())))
    means = np.zeros((len(token_lists), size), dtype=np.float32)
    for row, tokens in enumerate(token_lists):
        known = [vectors[token] for token in tokens if token in vectors]
        if known:
            means[row] = np.mean(known, axis=0)
    return means
