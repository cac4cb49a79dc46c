"""A lesson's first cell: seeds, the data it can work with, and when its claims bind."""

import random

import numpy as np
import pytest
import threadpoolctl
import torch

from sft_helpers import claims, environment, lesson
from sft_helpers.data import DataError
from sft_helpers.environment import device


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setattr(environment, "device", lambda: torch.device("cpu"))
    yield
    claims.bind(True)


def binds():
    try:
        claims.claim("Nothing.", holds=lambda: False)
    except claims.ClaimError:
        return True
    return False


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label\n" + "".join(f"text {i},{'abc'[i % 3]}\n" for i in range(60)), encoding="utf-8")
    return str(path)


def test_numpy_multiplies_in_one_thread_and_torch_in_as_many_as_before():
    before = torch.get_num_threads()
    with threadpoolctl.threadpool_limits(2):
        lesson.start()
        found = [library for library in threadpoolctl.threadpool_info() if library["prefix"] == "libscipy_openblas"]
        assert all(library["num_threads"] == 1 for library in found)
        assert found or "scipy-openblas" not in np.show_config("dicts")["Build Dependencies"]["blas"]["name"]
    assert torch.get_num_threads() == before


def test_claims_bind_on_the_default_alone(mine, tmp_path):
    for binding, settings in ((True, {}), (True, {"backbone": "embedded", "data": "reviews"}), (False, {"seed": 1}),
                              (False, {"changed": True}), (False, {"data": mine})):
        lesson.start(**settings)
        assert binds() is binding, settings


def test_claims_do_not_bind_on_a_gpu_or_on_another_backbone(monkeypatch, tmp_path):
    from tests import tiny

    tiny.backbone(tmp_path / "bert")
    lesson.start(backbone=str(tmp_path / "bert"))
    assert not binds()
    monkeypatch.setattr(environment, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(environment, "device_label", lambda: "a GPU")
    lesson.start()
    assert not binds()


def test_the_data_needs_as_many_labels_as_the_lesson(mine):
    assert lesson.start(data=mine).data == mine
    lesson.start(data=mine, labels=3)
    with pytest.raises(DataError, match="needs data with 2 labels; .* has 3"):
        lesson.start(data=mine, labels=2)


def test_a_seed_settles_every_kind_of_chance():
    def drawn(seed):
        lesson.start(seed=seed)
        return random.random(), np.random.rand(), torch.rand(1).item()
    first, again, other = drawn(5), drawn(5), drawn(6)
    assert first == again and all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(("cuda", "mps", "expected"), [(True, True, "cuda"), (True, False, "cuda"),
                                                       (False, True, "mps"), (False, False, "cpu")])
def test_a_gpu_is_used_where_there_is_one(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert device().type == "cpu"  # in tests
    monkeypatch.delenv("SFT_DEVICE")
    assert device().type == expected


def test_the_summary_names_what_a_result_depends_on(capsys):
    here = lesson.start(backbone="embedded", data="reviews")
    said = capsys.readouterr().out
    assert (here.backbone.name, here.data) == ("embedded", "reviews")
    assert "device    CPU" in said and "backbone  embedded (installed package, checksum verified)" in said
    assert "data      reviews (labels negative, positive)" in said
    assert f"torch {torch.__version__.split('+')[0]}" in said


def test_the_map_of_the_course_lists_each_lesson():
    assert [number for number, _title, _minutes in lesson.course_map()] == [f"{number:02}" for number in range(14)]
