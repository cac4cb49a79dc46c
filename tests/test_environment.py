"""Device, seeds and progress bars: what depends on the machine."""

import random

import numpy as np
import pytest
import torch

from sft_helpers import environment


@pytest.mark.parametrize(("cuda", "mps", "asked", "found"), [
    (True, True, "", "cuda"), (False, True, "", "mps"), (False, False, "", "cpu"), (True, True, "cpu", "cpu")])
def test_the_device_is_the_best_at_hand_unless_the_cpu_is_asked_for(monkeypatch, cuda, mps, asked, found):
    monkeypatch.setenv("SFT_DEVICE", asked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert environment.device().type == found


@pytest.mark.parametrize(("threads", "label"), [(1, "CPU, 1 thread"), (2, "CPU, 2 threads")])
def test_the_label_of_a_cpu_counts_its_threads(monkeypatch, threads, label):
    monkeypatch.setenv("SFT_DEVICE", "cpu")
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert environment.device_label() == label


def test_a_seed_is_that_of_all_random_numbers():
    def drawn(seed):
        environment.seed_everything(seed)
        return random.random(), float(np.random.random()), torch.rand(1).item()
    first, again, other = drawn(1), drawn(1), drawn(2)
    assert first == again and all(one != two for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize(("variable", "shown", "drawn"), [("0", True, True), ("0", False, False), ("1", True, False)])
def test_a_bar_is_drawn_by_one_process_and_where_bars_are_wanted(monkeypatch, variable, shown, drawn):
    monkeypatch.setenv("TQDM_DISABLE", variable)
    with environment.progress([1, 2], "counting", shown=shown) as bar:
        assert bar.disable is not drawn
