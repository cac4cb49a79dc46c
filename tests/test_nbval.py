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


@pytest.mark.parametrize(("stored", "fresh", "settled"), [
    ("loss 0.50 of 10", "loss 0.51 of 10", "loss 0.50 of 10"),
    ("loss 0.50 of 10", "loss 0.60 of 10", "loss 0.60 of 10"),
    ("n = 1,200", "n = 1,200", "n = 1,200"),
    ("a 1 b", "a 1 b 2", "a 1 b 2"),
])
def test_settle_moves_only_numbers_within_the_tolerance(stored, fresh, settled):
    assert settle(stored, fresh, absolute=0.02) == settled
