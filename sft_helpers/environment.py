"""Device, seeds and versions: what depends on the machine."""

import importlib.metadata
import os
import platform
import random

import numpy as np
import scipy.linalg  # noqa: F401 — loads SciPy's own library of matrix products, for one_blas_thread
import torch
from threadpoolctl import ThreadpoolController
from tqdm.auto import tqdm

SHOWN_VERSIONS = ("torch", "transformers", "datasets", "gensim", "scikit-learn", "numpy")


def device():
    """Return the device that computations run on: CUDA, else Apple's MPS, else the CPU.

    Returns
    -------
    torch.device

    Notes
    -----
    The environment variable ``SFT_DEVICE=cpu`` leaves a GPU alone: stored outputs come from a CPU.
    """
    if os.environ.get("SFT_DEVICE") == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def device_label():
    """Return the device in words, such as ``"CPU, 2 threads"`` or the GPU's model name."""
    kind = device().type
    if kind == "cuda":
        return torch.cuda.get_device_name()
    if kind == "mps":
        return "Apple GPU (MPS)"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def seed_everything(seed):
    """Seed Python's, NumPy's and torch's random numbers.

    Parameters
    ----------
    seed : int

    Notes
    -----
    On one machine the same seed gives the same numbers. Between machines the last digits may differ,
    see the PyTorch documentation, "Reproducibility".
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def one_blas_thread():
    """Let NumPy and SciPy, from PyPI's wheels, multiply in one thread; torch keeps its own.

    Notes
    -----
    For matrices as small as the course's, threads only wait for one another: the many small fits of lesson 12 took
    118 s with two threads, 22 s with one (AMD EPYC, 2 cores). See the scikit-learn documentation, "Parallelism,
    resource management, and configuration". Other builds of NumPy, which may share their library with torch, are left
    as they are.
    """
    ThreadpoolController().select(prefix="libscipy_openblas").limit(limits=1)


def progress(items, what, total=None, unit="it", shown=True):
    """Loop over items behind a progress bar that clears itself.

    Parameters
    ----------
    items : iterable or None
        None gives a bar that is moved by its ``update``.
    what : str
        Shown before the bar.
    total : int, optional
        Where ``len(items)`` does not tell.
    unit : str
        What is counted; "B" (bytes) is scaled to kB, MB and so on.
    shown : bool
        False draws no bar: of several processes only one should.

    Returns
    -------
    tqdm.tqdm

    Notes
    -----
    No bar is drawn where ``TQDM_DISABLE`` is set, as it is while outputs are recorded: tqdm's notebook bar
    leaves its first line in a stored output, and does not look at that variable itself.
    """
    return tqdm(items, desc=what, total=total, leave=False, unit=unit, unit_scale=unit == "B",
                disable=not shown or os.environ.get("TQDM_DISABLE", "0") == "1")


def versions():
    """Return the versions a result depends on, as a dict from package name to version."""
    found = {"python": platform.python_version()}
    for package in SHOWN_VERSIONS:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def substitutes_allowed():
    """Return False where a model or data set that cannot be had must stop the run.

    ``make run`` sets ``SFT_STRICT=1``; an interactive lesson goes on with the embedded default and says so.
    """
    return os.environ.get("SFT_STRICT", "0") != "1"
