"""The text preprocessing that lesson 03 teaches: tokens, stop words, vocabulary, padding."""

from collections import Counter

import numpy as np
from nltk.tokenize import word_tokenize

PAD, UNKNOWN = "[PAD]", "[UNK]"


def tokenize(text):
    """Split a lower-cased text into words and punctuation marks.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str

    Notes
    -----
    NLTK's ``word_tokenize``. With ``preserve_line=True`` it takes the text as one sentence and needs no
    downloaded ``punkt_tab``; a full stop inside the text then stays at its word.
    """
    return word_tokenize(text.lower(), preserve_line=True)


def preprocess_text(text, stop_words=frozenset()):
    """Lower-case and tokenise a text, keep words and numbers, drop stop words (lesson 03, section 2).

    Parameters
    ----------
    text : str
    stop_words : set of str
        A set, so that looking a word up takes the same time however long the list is.

    Returns
    -------
    list of str
    """
    tokens = (token.strip(".") for token in tokenize(text))
    return [token for token in tokens if any(c.isalnum() for c in token) and token not in stop_words]


class Vocabulary:
    """The words of the training texts, numbered (lesson 03, section 4).

    Parameters
    ----------
    token_lists : iterable of list of str
        Training texts only: a word that no training text holds is unknown.
    min_count : int
        Words that occur less often than this are left out.

    Attributes
    ----------
    words : list of str
        ``[PAD]`` has number 0, ``[UNK]`` number 1, then the words, the most frequent first.
    """

    def __init__(self, token_lists, min_count=1):
        counts = Counter(token for tokens in token_lists for token in tokens)
        # equal counts in alphabetical order, so that the numbers do not hang on the order of the texts
        kept = sorted((w for w, c in counts.items() if c >= min_count), key=lambda w: (-counts[w], w))
        self.words = [PAD, UNKNOWN, *kept]
        self._number = {word: i for i, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    def __contains__(self, word):
        return word in self._number

    def encode(self, tokens):
        """Return the list of numbers (``input_ids``) of a list of tokens; unknown words become 1."""
        return [self._number.get(token, 1) for token in tokens]

    def decode(self, input_ids):
        """Return the list of words of a list of numbers."""
        return [self.words[i] for i in input_ids]


def pad(sequences):
    """Fill a batch of number lists up to its longest with 0.

    Parameters
    ----------
    sequences : list of list of int

    Returns
    -------
    input_ids, attention_mask : ndarray of int, shape (len(sequences), longest)
        The mask is 1 where a number is real and 0 where it only fills.
    """
    longest = max(map(len, sequences), default=0)
    input_ids = np.zeros((len(sequences), longest), dtype=np.int64)
    attention_mask = np.zeros_like(input_ids)
    for row, numbers in enumerate(sequences):
        input_ids[row, :len(numbers)] = numbers
        attention_mask[row, :len(numbers)] = 1
    return input_ids, attention_mask
