"""Files that are whole or not there: what is kept, what is dropped, and what a checksum notices."""

import os

import pytest
import torch
from safetensors.torch import load_file

from sft_helpers import storage


@pytest.fixture
def kept(tmp_path):
    checkpoints = storage.Checkpoints(tmp_path / "run")
    for step in (1, 2, 10, 100):
        checkpoints.save(step, {"w": torch.full((3,), float(step))}, {"step": step})
    return checkpoints


def steps(checkpoints):
    return sorted(int(path.name.split("-")[1]) for path in checkpoints.folder.iterdir())


def test_the_newest_checkpoints_are_kept_and_the_newest_is_loaded(kept):
    assert steps(kept) == [10, 100]
    tensors, state = kept.load()
    assert state == {"step": 100} and tensors["w"].tolist() == [100.0] * 3


def test_a_damaged_one_is_dropped_and_the_one_before_it_loaded(kept, capsys):
    newest = max(kept.folder.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1] + b"\x07")  # still a file that safetensors can read
    assert load_file(newest)["w"].shape == (3,)
    assert kept.load()[1] == {"step": 10} and steps(kept) == [10]
    assert "is damaged; the one before it is used" in capsys.readouterr().out
    last = max(kept.folder.iterdir())
    last.write_bytes(b"")
    assert kept.load() == (None, None) and not list(kept.folder.iterdir())
    assert "training starts from the beginning" in capsys.readouterr().out


def test_one_that_cannot_be_read_is_left_alone(kept, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(storage, "fits_its_name", refuse)
    with pytest.raises(storage.StorageError, match=r"step-00000100.* cannot be read \(Permission denied\)"):
        kept.load()
    assert steps(kept) == [10, 100]


def test_one_of_another_version_is_left_alone(tmp_path):
    path = storage.write({"w": torch.ones(1)}, {"state": "{}"}, tmp_path / "step-00000001.safetensors", True)
    with pytest.raises(storage.StorageError, match="written by another version.* Name another folder"):
        storage.Checkpoints(tmp_path).load()
    assert path.is_file()


def test_a_long_run_s_history_fits_into_a_checkpoint(tmp_path):
    """The header of a safetensors file holds 100 MB and no more; the state stands beside the weights."""
    checkpoints = storage.Checkpoints(tmp_path)
    checkpoints.save(1, {"w": torch.zeros(1)}, {"steps": "x" * 101_000_000})
    tensors, state = checkpoints.load()
    assert list(tensors) == ["w"] and len(state["steps"]) == 101_000_000


def test_what_an_interrupted_write_left_is_cleared_away_and_what_is_being_written_is_not(kept, monkeypatch):
    for writer in ("77", "78", str(os.getpid()), "no number"):
        (kept.folder / f"step-00000200.{writer}.part").write_bytes(b"half")
    monkeypatch.setattr(storage.psutil, "pid_exists", lambda writer: writer in (78, os.getpid()))
    assert kept.load()[1] == {"step": 100}
    (being_written,) = kept.folder.glob("*.part")
    assert being_written.name == "step-00000200.78.part" and len(list(kept.folder.iterdir())) == 3


def test_two_runs_do_not_write_into_one_folder(kept):
    other = storage.Checkpoints(kept.folder)
    assert other.load()[1] == {"step": 100}
    kept.save(120, {"w": torch.zeros(1)}, {})
    with pytest.raises(storage.StorageError, match="Another run writes .* as well: step-00000120.* another folder"):
        other.save(101, {"w": torch.ones(1)}, {})
    assert steps(kept) == [100, 120]
    kept.save(130, {"w": torch.zeros(1)}, {})
    assert steps(kept) == [120, 130]
    again = storage.Checkpoints(kept.folder)  # the other run has ended
    again.save(140, {"w": torch.zeros(1)}, {})
    assert steps(kept) == [130, 140]


def test_a_file_is_named_by_its_content_and_fits_its_name_until_it_changes(tmp_path):
    one, two = (storage.write({"w": torch.tensor([value])}, None, tmp_path / "n.safetensors", named_by_sum=True)
                for value in (1.0, 2.0))
    assert one != two and storage.fits_its_name(one) and storage.fits_its_name(two)
    two.write_bytes(one.read_bytes())
    assert not storage.fits_its_name(two)


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    storage.write_text("whole ✓\r\n", path)
    assert path.read_bytes() == "whole ✓\r\n".encode()

    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(storage.StorageError, match="a.txt could not be written .*No space left.* is whole"):
        storage.write_text("new", path)
    assert path.read_bytes() == "whole ✓\r\n".encode() and [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_digest_sees_every_part_and_where_one_ends():
    tensor = torch.tensor([1.0, 2.0])
    found = [storage.digest(*parts) for parts in ((tensor, "ab", 3), (tensor.flip(0), "ab", 3), (tensor, "a", "b", 3),
                                                  (tensor, "ab", 4), ("ab", tensor, 3), (tensor.double(), "ab", 3))]
    assert len(set(found)) == len(found) and storage.digest(tensor.clone(), "ab", 3) == found[0]
    one, two, three = torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([3.0])
    assert storage.digest(torch.cat([one, two]), three) != storage.digest(one, torch.cat([two, three]))
    assert storage.digest("ab", "c") != storage.digest("a", "bc") != storage.digest(["a", "bc"])


def test_the_digest_of_weights_goes_by_names_and_may_be_that_of_the_frozen_ones():
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    layers[0].requires_grad_(False)
    whole, frozen = storage.weights_digest(layers), storage.weights_digest(layers, only_frozen=True)
    with torch.no_grad():
        layers[1].bias += 1
    assert storage.weights_digest(layers) != whole and storage.weights_digest(layers, only_frozen=True) == frozen
    with torch.no_grad():
        layers[0].bias += 1
    assert storage.weights_digest(layers, only_frozen=True) != frozen
    swapped = torch.nn.Sequential(*list(layers)[::-1])
    assert storage.weights_digest(swapped) != storage.weights_digest(layers)


def test_a_single_changed_byte_is_never_missed(tmp_path):
    path = storage.write({"x": torch.arange(100)}, None, tmp_path / "numbers.safetensors", named_by_sum=True)
    raw = path.read_bytes()
    assert storage.fits_its_name(path)
    for place in range(0, len(raw), 3):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1:])
        assert not storage.fits_its_name(path), place


def test_processes_that_write_one_file_at_a_time_use_names_of_their_own(tmp_path, monkeypatch):
    parts, put = [], storage.save_file
    monkeypatch.setattr(storage, "save_file", lambda what, part, **rest: parts.append(part) or put(what, part, **rest))
    for process in (11, 12):
        monkeypatch.setattr(storage.os, "getpid", lambda process=process: process)
        storage.write({"x": torch.arange(3)}, None, tmp_path / "numbers.safetensors")
    assert parts[0] != parts[1] and all(part.parent == tmp_path for part in parts)
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.safetensors"]
