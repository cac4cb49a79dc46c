"""As in Colab: its list is read, lessons fetch what it lacks and nothing else, a changed package is an error."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
COMES_WITH_ANOTHER = {"psutil", "threadpoolctl"}  # ipykernel and scikit-learn need them: there, though not listed


@pytest.fixture
def colab(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    spec = importlib.util.spec_from_file_location("colab", ROOT / "tools" / "colab.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "WORK", tmp_path / "colab")
    monkeypatch.setattr(module.os, "environ", dict(module.os.environ))
    return module


def preinstalled(colab):
    lines = colab.newest_list().read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(Requirement(line).name): line for line in colab.obtainable(lines)[0]}


def setup_source(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(next(cell["source"] for cell in cells if "setup" in cell["metadata"].get("tags", [])))


def test_the_newest_list_holds_a_version_of_each_package_and_is_dated(colab):
    assert re.fullmatch(r"colab-\d{4}-\d{2}\.txt", colab.newest_list().name)
    lines = [line for line in colab.newest_list().read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    requirements, replaced = colab.obtainable(lines)
    assert len(requirements) == len(lines) == len(preinstalled(colab))
    for line, requirement in zip(lines, requirements, strict=True):
        specifiers = list(Requirement(requirement).specifier)
        assert [one.operator for one in specifiers] == (["=="] if "==" in line else [])
        assert (line in replaced) == (line != requirement)


def test_what_no_index_has_is_replaced_and_said(colab):
    built = "gateway @ git+https://github.com/a/b@c0ffee"
    requirements, replaced = colab.obtainable(["# a comment", "", "numpy==2.1.3\n", "torch==2.11.0+cu128", built])
    assert requirements == ["numpy==2.1.3", "torch==2.11.0", "gateway"]
    assert replaced == {"torch==2.11.0+cu128": "torch==2.11.0", built: "gateway"}


BEFORE = ["numpy==2.1.3", "smart_open==7.1.0", "torch==2.11.0"]


@pytest.mark.parametrize(("after", "added", "changed"), [
    (BEFORE, [], []),
    ([*BEFORE, "gensim==4.4.0"], ["gensim==4.4.0"], []),
    (["Numpy==2.1.3", *BEFORE[1:]], [], ["numpy==2.1.3 became Numpy==2.1.3"]),
    (["numpy==2.4.0", *BEFORE[1:]], [], ["numpy==2.1.3 became numpy==2.4.0"]),
    ([*BEFORE[:2], "torch @ file:///tmp/torch.whl"], [], ["torch==2.11.0 became torch @ file:///tmp/torch.whl"]),
    (BEFORE[1:], [], ["numpy==2.1.3 was removed"])])
def test_additions_and_changes_are_told_apart(colab, after, added, changed):
    assert colab.changes(BEFORE, after) == (added, changed)


def test_the_lessons_set_up_in_the_same_way():
    heads = {path.stem: setup_source(path).split("\n\nimport")[0] for path in LESSONS}
    assert len(heads) == 14
    assert '"google.colab" in sys.modules' in heads[LESSONS[0].stem]
    assert [name for name, head in heads.items() if head != heads[LESSONS[0].stem]] == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_pip_is_asked_for_what_colab_lacks_and_for_nothing_else(colab, path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    asked = colab.asked_for(path.read_text(encoding="utf-8"))
    assert set(asked) == needed - set(preinstalled(colab)) - COMES_WITH_ANOTHER
    assert len(asked) == len(set(asked))


def test_the_published_address_leads_to_the_working_tree(colab, tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, text in ((".gitignore", "mine.txt\n"), ("mine.txt", "ignored"), ("new.txt", "not committed"),
                       ("pyproject.toml", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))):
        (tree / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(colab, "ROOT", tree)
    colab.make_kernel(colab.make_repository())
    (tree / "new.txt").write_text("changed since", encoding="utf-8")
    colab.make_repository()  # another run
    kernel = json.loads((colab.WORK / "jupyter" / "kernels" / "python3" / "kernel.json").read_text(encoding="utf-8"))
    clone = next(line for line in setup_source(LESSONS[0]).splitlines() if "git clone" in line)
    command = clone.strip(" !").replace("/content/", f"{tmp_path.as_posix()}/").split()
    subprocess.run(command, check=True, env={**os.environ, **kernel["env"]})
    fetched = tmp_path / "course"
    assert {path.name for path in fetched.iterdir()} == {".git", ".gitignore", "new.txt", "pyproject.toml"}
    assert (fetched / "new.txt").read_text(encoding="utf-8") == "changed since"


def test_the_kernel_has_imported_what_stands_for_colab(colab):
    (colab.WORK / "published.git").mkdir(parents=True)
    colab.make_kernel("file:///nowhere.git")
    kernel = json.loads((colab.WORK / "jupyter" / "kernels" / "python3" / "kernel.json").read_text(encoding="utf-8"))
    head, _, _launch = colab.LAUNCH.partition("from ipykernel")
    done = subprocess.run([sys.executable, "-c", head + "print('google.colab' in sys.modules)"], capture_output=True,
                          text=True, env={**os.environ, **kernel["env"]})
    assert done.stdout == "True\n", done.stderr


def run_with(colab, monkeypatch, capsys, after=(), problem=None, source="!pip install --quiet gensim"):
    """Run a lesson that leaves the environment so and fails so; return where it lay, and what was printed."""
    seen = {}

    def run_one(path, _parameters, _target):
        seen.update(beside=[other.name for other in path.parent.iterdir()], text=path.read_text(encoding="utf-8"),
                    folder=path.parent)
        return "failed" if problem else "passed", problem

    lesson = colab.WORK / "03_text.ipynb"
    colab.WORK.mkdir()
    cells = [{"cell_type": "code", "metadata": {"tags": ["setup"]}, "source": f"{source}\n%cd /content/course"}]
    lesson.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    freezes = iter([BEFORE, list(after) or BEFORE])
    monkeypatch.setattr(colab, "ROOT", colab.WORK)
    monkeypatch.setattr(colab, "freeze", lambda: next(freezes))
    for name in ("restore", "make_kernel", "make_environment", "make_repository"):
        monkeypatch.setattr(colab, name, lambda *_, name=name: seen.setdefault("done", []).append(name))
    monkeypatch.setattr(colab.course, "run_one", run_one)
    monkeypatch.setattr(colab.course, "lessons", lambda _: [lesson])
    monkeypatch.setattr(sys, "argv", ["colab", "03"])
    try:
        colab.main()
        seen["error"] = None
    except SystemExit as error:
        seen["error"] = str(error)
    return seen, capsys.readouterr().out


def test_a_lesson_lies_alone_in_a_folder_that_stands_for_colabs(colab, monkeypatch, capsys):
    seen, printed = run_with(colab, monkeypatch, capsys, after=[*BEFORE, "gensim==4.4.0"])
    assert seen["error"] is None and re.search(r"03_text +passed +\d+ +gensim==4\.4\.0\n", printed)
    assert seen["done"][-1] == "restore" and set(seen["done"][:-1]) == {"make_environment", "make_repository",
                                                                        "make_kernel"}  # as it was, before each lesson
    assert seen["beside"] == ["03_text.ipynb"] and not seen["folder"].exists()
    assert f"%cd {seen['folder'].resolve().as_posix()}/course" in seen["text"] and "/content/" not in seen["text"]


@pytest.mark.parametrize(("left", "says"), [
    ({"problem": "cell 3 (claim): ClaimError"}, "ClaimError"),
    ({"after": ["numpy==2.4.0", *BEFORE[1:]]}, "pip changed what was preinstalled: numpy==2.1.3 became numpy==2.4.0"),
    ({"source": "!pip install --quiet gensim smart-open"}, "pip was asked for smart-open, which was there")])
def test_a_lesson_fails_by_what_it_raises_or_does_to_packages(colab, monkeypatch, capsys, left, says):
    seen, printed = run_with(colab, monkeypatch, capsys, **left)
    assert seen["error"] == "failed: 03_text" and "03_text  failed" in printed and says in printed


def test_another_list_or_another_python_makes_another_environment(colab, monkeypatch, tmp_path):
    calls, versions = [], ["numpy==2.1.3"]
    for name in ("UV", "ASKED", "FREEZE"):
        monkeypatch.setattr(colab, name, tmp_path / name)
    (tmp_path / "UV").touch()
    (tmp_path / "ASKED").write_text("# Python 3.12.1\nnumpy==1.0\n")
    monkeypatch.setattr(colab, "freeze", lambda: versions)
    monkeypatch.setattr(colab.subprocess, "run", lambda command, **_how: calls.append(command) or types.SimpleNamespace(
        stdout="Python 3.12.1\n"))
    colab.make_environment("python")
    made = len(calls)
    assert made > 1
    colab.make_environment("python")
    assert len(calls) == made + 1  # only the version is asked for


def test_a_lesson_there_is_strict_and_sees_no_gpu(colab):
    (colab.WORK / "published.git").mkdir(parents=True)
    colab.make_kernel("file:///x.git")
    settings = json.loads((colab.WORK / "jupyter/kernels/python3/kernel.json").read_text())["env"]
    assert settings["SFT_STRICT"] == "1" and settings["CUDA_VISIBLE_DEVICES"] == ""
