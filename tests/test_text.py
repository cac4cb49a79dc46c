"""Preprocessing, vectors and scores against small cases worked out by hand."""

import os
import types

import numpy as np
import pytest

from sft_helpers import embeddings, evaluation, resources, text

SHARED = os.environ.get("SFT_NLTK_DATA", os.path.join(os.path.dirname(__file__), "..", "..", "shared", "nltk_data"))


def test_preprocess():
    said = "The soup wasn't cold, it was FROZEN. We left!"
    assert text.preprocess_text(said) == ["the", "soup", "was", "n't", "cold", "it", "was", "frozen", "we", "left"]
    assert text.preprocess_text(said, {"the", "was", "n't"}) == ["soup", "cold", "it", "frozen", "we", "left"]
    assert text.preprocess_text("Table 7 on the 2nd floor, .5 more. 不") == [
        "table", "7", "on", "the", "2nd", "floor", "5", "more", "不"]  # numbers and other scripts are kept
    assert text.preprocess_text("I took the. And left", {"the"}) == ["i", "took", "and", "left"]
    assert text.preprocess_text("") == text.preprocess_text("?! 😀 ...") == []


def test_vocabulary_numbers_the_training_words():
    vocabulary = text.Vocabulary([["b", "a"], ["a", "c"]])
    assert vocabulary.words == ["[PAD]", "[UNK]", "a", "b", "c"]
    assert text.Vocabulary([["b", "b", "c"], ["a", "c", "b"]]).words[2:] == ["b", "c", "a"]  # the most frequent first
    assert text.Vocabulary([["c", "a"], ["a", "b"]]).words[2:] == ["a", "b", "c"]  # equal counts by the alphabet
    assert vocabulary.encode(["c", "new", "a"]) == [4, 1, 2]
    assert vocabulary.decode([4, 1, 2, 0]) == ["c", "[UNK]", "a", "[PAD]"]
    assert "a" in vocabulary and "new" not in vocabulary and len(vocabulary) == 5
    assert text.Vocabulary([["b", "a"], ["a", "c"]], min_count=2).words[2:] == ["a"]


def test_pad():
    input_ids, attention_mask = text.pad([[5, 6], [], [7, 8, 9]])
    assert input_ids.tolist() == [[5, 6, 0], [0, 0, 0], [7, 8, 9]]
    assert attention_mask.tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]
    assert text.pad([])[0].shape == (0, 0)


@pytest.mark.parametrize("source", ["scikit-learn", "gensim"])
def test_stop_words_from_installed_packages_hold_not(source):
    words = resources.stop_words(source)
    assert isinstance(words, frozenset) and {"not", "the", "never"} <= words and len(words) > 300


def test_each_list_is_the_one_it_is_called():
    from gensim.parsing.preprocessing import STOPWORDS
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    assert resources.stop_words("gensim") == STOPWORDS != ENGLISH_STOP_WORDS == resources.stop_words("scikit-learn")


def test_unknown_list():
    with pytest.raises(resources.ResourceError, match="choose 'scikit-learn', 'gensim' or 'nltk'"):
        resources.stop_words("spacy")


@pytest.mark.skipif(not os.path.isdir(SHARED), reason="no copy of NLTK's data at hand")
def test_nltk_list_from_disk(monkeypatch):
    import nltk

    monkeypatch.setattr(nltk.data, "path", [os.path.abspath(SHARED)])
    words = resources.stop_words("nltk")
    assert {"not", "no", "don't"} <= words
    assert "don't" not in resources.stop_words("scikit-learn")  # the lists differ


def test_nltk_list_that_cannot_be_had(monkeypatch):
    import nltk

    def missing(_language):
        raise LookupError

    # the corpus itself is loaded when it is first touched, and fails where no data is at hand
    monkeypatch.setattr(nltk.corpus, "stopwords", types.SimpleNamespace(words=missing))
    monkeypatch.setattr(nltk, "download", lambda *_args, **_kwargs: False)
    with pytest.raises(resources.ResourceError, match=r"nltk.download\('stopwords'\)"):
        resources.stop_words("nltk")


def test_mean_vectors():
    vectors = {"a": np.array([1.0, 0.0]), "b": np.array([3.0, 2.0])}
    means = embeddings.mean_vectors([["a", "b"], ["b", "new"], ["new"], ["b", "a", "a", "a"]], vectors)
    assert means.tolist() == [[2.0, 1.0], [3.0, 2.0], [0.0, 0.0], [1.5, 0.5]]
    assert means.dtype == np.float32


def test_word2vec_is_repeatable_and_takes_settings():
    texts = [["soup", "was", "cold"], ["tea", "was", "hot"]] * 20
    first, again = (embeddings.train_word2vec(texts, seed=3, vector_size=8, epochs=2) for _ in range(2))
    assert np.array_equal(first.vectors, again.vectors) and first.vectors.shape == (5, 8)
    other = embeddings.train_word2vec(texts, seed=4, vector_size=8, epochs=2)
    assert not np.array_equal(first.vectors, other.vectors)


def test_word2vec_is_skip_gram_in_one_thread_unless_told_otherwise(monkeypatch):
    asked = []

    def noted(_texts, **settings):
        asked.append(settings)
        return types.SimpleNamespace(wv=None)
    monkeypatch.setattr(embeddings, "Word2Vec", noted)
    embeddings.train_word2vec([["a"]])
    embeddings.train_word2vec([["a"]], seed=7, sg=0, epochs=2)
    defaults = {"vector_size": 100, "window": 5, "min_count": 1, "sg": 1, "epochs": 30, "workers": 1, "seed": 0}
    assert asked == [defaults, {**defaults, "seed": 7, "sg": 0, "epochs": 2}]


def test_accuracy_and_its_interval():
    labels = np.array([0, 1] * 500)
    predictions = labels.copy()
    predictions[:200] = 1 - predictions[:200]
    value, low, high = evaluation.accuracy(labels, predictions)
    assert value == 0.8
    half = 1.96 * np.sqrt(0.8 * 0.2 / 1000)  # the normal approximation
    assert abs((value - low) - half) < 0.004 and abs((high - value) - half) < 0.004
    assert str(evaluation.accuracy([1, 1], [1, 1])) == "100.0 % (100.0–100.0)"
    wider = evaluation.accuracy(labels, predictions, confidence=0.99)
    assert (wider.high - wider.low) / (high - low) == pytest.approx(2.576 / 1.96, rel=0.06)
    assert evaluation.accuracy(labels, predictions, seed=1)[1:] != (low, high)


def test_macro_f1_is_the_mean_over_the_labels_however_rare():
    labels, predictions = [0] * 8 + [1, 2], [0] * 8 + [1, 0]
    assert evaluation.macro_f1(labels, predictions) == pytest.approx((16 / 17 + 1 + 0) / 3)


def test_columns_are_chosen_among_the_texts_of_one_or_several_runs():
    chosen = np.array([True, False, True])
    assert evaluation.columns([1, 2, 3], chosen).tolist() == [1, 3]
    assert evaluation.columns([[1, 2, 3], [4, 5, 6]], chosen).tolist() == [[1, 3], [4, 6]]


@pytest.mark.parametrize(("labels", "predictions"), [([], []), ([1], [1, 0])])
def test_accuracy_refuses_what_it_cannot_score(labels, predictions):
    with pytest.raises(ValueError, match="equally long"):
        evaluation.accuracy(labels, predictions)


def test_both_right():
    labels, predictions = [1, 0, 1, 0], [1, 0, 1, 1]
    assert evaluation.both_right([(0, 1), (2, 3)], labels, predictions).value == 0.5
    assert evaluation.both_right([(0, 1), (2, 3)], labels, [predictions, labels]).value == 0.75
    assert evaluation.both_right([(0, 1)], labels, [1, 1, 1, 0]).value == 0  # one answer for both halves
    assert np.isnan(evaluation.both_right([], labels, predictions)).all()
