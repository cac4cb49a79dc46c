"""nbval must be able to fail: a changed output, a moved number, a cleared output are shown to be noticed."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from conftest import settle

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder():
    path = ROOT / "_build" / "nbval_demo"  # below the root, so that the root's conftest.py applies
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    yield path
    shutil.rmtree(path)


def run(folder, source, stored, **metadata):
    cell = nbformat.v4.new_code_cell(source, execution_count=1, metadata=metadata)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored)]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "demo.ipynb")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "demo.ipynb")],
                          cwd=ROOT, capture_output=True, text=True)
    return done.returncode


@pytest.mark.parametrize(("printed", "stored", "metadata", "passes"), [
    ("accuracy 0.71", "accuracy 0.71\n", {}, True),
    ("accuracy 0.71", "accuracy 0.72\n", {}, False),
    ("accuracy 0.71", "accuracy 0.72\n", {"tolerance": {"abs": 0.02}}, True),
    ("accuracy 0.71", "accuracy 0.75\n", {"tolerance": {"abs": 0.02}}, False),
    ("accuracy 0.71", "precision 0.71\n", {"tolerance": {"abs": 0.02}}, False),
])
def test_a_changed_output_fails(folder, printed, stored, metadata, passes):
    assert (run(folder, f"print({printed!r})", stored, **metadata) == 0) is passes


@pytest.mark.parametrize("fresh", ["loss 0.51 of 10, x2", "loss  0.49 of  10, x2"])
def test_numbers_within_the_tolerance_are_settled(fresh):
    assert settle("loss 0.50 of 10, x2", fresh, absolute=0.02) == "loss 0.50 of 10, x2"


@pytest.mark.parametrize(("stored", "fresh"), [
    ("loss 0.50 of 10", "loss 0.53 of 10"), ("loss 0.50 of 10", "loss 0.50 of 11"), ("loss 0.50", "loss 0.5"),
    ("a 1.0 b", "a 1.0 b 2.0"), ("word2vec 1.0", "word4vec 1.0"), ("a # b", "a 7 b"), ("7 8", "# 8"),
    ("v1.10", "v1.11"), ("1,200", "1200.0"), ("one\ntwo", "one two"), ("loss 1.0", "loss 1e400"), ("x 1.0", "y 1.0"),
])
def test_everything_else_is_left_for_the_comparison_to_find(stored, fresh):
    assert settle(stored, fresh, absolute=4.5 if "0.50" not in stored else 0.02) == fresh


def test_whole_numbers_move_only_where_the_cell_says_so():
    assert settle("epoch 50", "epoch 52", absolute=3) == "epoch 52"
    assert settle("epoch 50", "epoch 52", absolute=3, integers=True) == "epoch 50"
    assert settle("epoch 50", "epoch 54", absolute=3, integers=True) == "epoch 54"


def test_a_claim_may_break_its_lines_elsewhere():
    assert settle("✓ of 9.9 % here\n  and there", "✓ of 10.1 %\n  here and there", absolute=1).startswith("✓ of 9.9")
