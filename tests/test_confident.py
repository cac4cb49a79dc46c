"""Lesson 12 writes confident learning in a few lines; the package by the method's authors finds the same."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues

(LESSON,) = Path(__file__).resolve().parent.parent.glob("notebooks/12_*.ipynb")


@pytest.fixture(scope="module")
def lesson():
    """The functions of the lesson that need nothing but NumPy."""
    wanted, found = {"confident_joint", "own", "largest_loss"}, {"np": np}
    for cell in json.loads(LESSON.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code" and any(f"def {name}(" in "".join(cell["source"]) for name in wanted):
            body = [part for part in ast.parse("".join(cell["source"])).body
                    if isinstance(part, ast.FunctionDef) and part.name in wanted]
            exec(compile(ast.Module(body, []), str(LESSON), "exec"), found)
    return found


def unsure(seed, texts=400, labels=5):
    """Probabilities of an unsure model, and labels of which some are wrong."""
    random = np.random.default_rng(seed)
    true = random.integers(labels, size=texts)
    scores = random.normal(size=(texts, labels)) + 2 * np.eye(labels)[true]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return p, np.where(random.random(texts) < 0.15, random.integers(labels, size=texts), true)


@pytest.mark.parametrize("seed", range(3))
def test_the_confident_joint_and_its_suspects_are_cleanlabs(lesson, seed):
    p, given = unsure(seed)
    joint, off_diagonal = lesson["confident_joint"](p, given)
    theirs, rows = compute_confident_joint(given, p, calibrate=False, return_indices_of_off_diagonals=True)
    assert 20 < off_diagonal.sum() < 200  # neither all nor none
    assert joint.tolist() == theirs.tolist()
    assert np.flatnonzero(off_diagonal).tolist() == sorted(rows)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_by_loss_is_cleanlabs_low_self_confidence(lesson, seed):
    p, given = unsure(seed)
    theirs = find_label_issues(given, p, filter_by="low_self_confidence", n_jobs=1)
    assert 20 < theirs.sum() < 200
    assert lesson["largest_loss"](p, given, theirs.sum()).tolist() == theirs.tolist()
