"""GitHub's workflows: their steps exist, their Pythons are admitted, nothing floats or may write."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Workflow(dict):
    """A workflow's YAML, in which ``on`` is a word and not a truth value."""

    def __init__(self, path):
        super().__init__(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader))

    @property
    def jobs(self):
        return list(self["jobs"].values())

    @property
    def steps(self):
        return [step for job in self.jobs for step in job["steps"]]

    @property
    def lines(self):
        return [line for step in self.steps for line in step.get("run", "").splitlines() if line]

    @property
    def pythons(self):
        asked = {step["with"]["python-version"] for step in self.steps if "python-version" in step.get("with", {})}
        return {python for python in asked if "${{" not in python} | set(self.matrix("python"))

    def matrix(self, name):
        return [value for job in self.jobs for value in job.get("strategy", {}).get("matrix", {}).get(name, [])]


each_workflow = pytest.mark.parametrize("workflow", [
    pytest.param(Workflow(path), id=path.stem) for path in WORKFLOWS])


def test_they_are_found():
    assert [path.stem for path in WORKFLOWS] == ["colab", "test", "weekly"]


@each_workflow
def test_each_step_is_a_target_of_the_makefile_or_a_line_of_the_readme(workflow):
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.M))
    shown = {line.split("#")[0].strip() for line in README.splitlines()}
    assert workflow.lines
    for line in workflow.lines:
        command, *words = shlex.split(line)
        if command == "make":
            settings = [word.partition("=")[0] for word in words if "=" in word]
            assert {word for word in words if "=" not in word} <= targets, line
            assert all(re.search(rf"^{name} \?=", MAKEFILE, re.M) for name in settings), line
        else:
            assert line in shown, line


def test_what_the_makefiles_targets_run():
    """The steps call targets by name; that a target does what its name says is held here."""
    recipes = re.findall(r"^([\w-]+):.*\n((?:\t.+\n)+)", MAKEFILE, re.M)
    run = {name: [line.strip() for line in lines.splitlines()] for name, lines in recipes}
    assert run["test"] == ["$(PY) -m pytest -n auto --dist loadfile"]
    assert run["test-quick"] == ['$(PY) -m pytest tests -m "not slow" -n auto --dist loadfile']
    assert run["test-deep"] == ["SFT_KILLS=200 $(PY) -m pytest tests/test_training.py -k killed -s",
                                "$(PY) -m benchmarks.processors"]
    assert run["test-lowest"][1:] == [
        '$(UV) pip install --quiet --python $(LOWEST) --resolution lowest-direct -e ".[dev,spacy]"',
        "CONSTRAINTS=lowest $(LOWEST) -m pytest tests -n auto --dist loadfile",
        "$(LOWEST) tools/course.py run $(or $(LESSONS),03)"]
    assert run["test-colab"] == ['@$(PY) tools/colab.py $(LESSONS) --python "$(PYTHON)"']
    assert run["mutate"] == ["$(PY) tools/mutate.py all"]


def test_pytest_runs_the_lessons_with_outputs_compared_and_an_end_to_each_cell():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert settings["testpaths"] == ["tests", "notebooks"] and settings["norecursedirs"] == [".*", "_build"]
    assert settings["addopts"].split() == ["--nbval", "--nbval-cell-timeout=300", "-ra"]


def test_every_job_of_the_tests_runs_all_of_them_and_may_fail():
    linux, windows, lowest = ([line for step in job["steps"] for line in step.get("run", "").splitlines()]
                              for job in Workflow(ROOT / ".github" / "workflows" / "test.yml").jobs)
    assert linux == ["make test"] and windows[-1] == "python -m pytest" and lowest == ["make test-lowest"]
    for path in WORKFLOWS:
        for job in Workflow(path).jobs:
            for part in (job, *job["steps"]):
                assert "continue-on-error" not in part and part.get("if", "failure()") == "failure()"
                assert "if" not in part or "run" not in part


@each_workflow
def test_its_pythons_are_admitted(workflow):
    assert workflow.pythons
    for python in workflow.pythons:
        assert python in SpecifierSet(PROJECT["requires-python"]), python


@each_workflow
def test_every_action_is_pinned_to_a_major_version(workflow):
    used = [step["uses"] for step in workflow.steps if "uses" in step]
    assert used and [name for name in used if not re.fullmatch(r"actions/[\w-]+@v\d+", name)] == []


@each_workflow
def test_it_may_only_read_and_ends(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for job in workflow.jobs:
        assert int(job["timeout-minutes"]) <= 180 and "permissions" not in job
    assert "workflow_dispatch" in workflow["on"]


def test_every_system_and_both_ends_of_the_python_range_are_tried():
    test = Workflow(ROOT / ".github" / "workflows" / "test.yml")
    systems = {job["runs-on"] for job in test.jobs} | set(test.matrix("os"))
    assert {"ubuntu-latest", "macos-latest", "windows-latest"} <= systems
    lowest = PROJECT["requires-python"].removeprefix(">=")
    for job in test.jobs[:2]:
        assert job["strategy"]["matrix"]["python"] == [lowest, "3.13"]
    assert {"push", "pull_request"} <= set(test["on"])


def test_the_lowest_versions_are_tried_on_the_lowest_python():
    lowest = Workflow(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["lowest"]
    assert lowest["steps"][-1]["run"] == "make test-lowest"
    assert lowest["steps"][-2]["with"]["python-version"] == PROJECT["requires-python"].removeprefix(">=")


def test_colabs_versions_are_tried_every_night():
    colab = Workflow(ROOT / ".github" / "workflows" / "colab.yml")
    minute, hour, *days = colab["on"]["schedule"][0]["cron"].split()
    assert minute.isdigit() and hour.isdigit() and days == ["*", "*", "*"]
    assert colab.lines == ["make test-colab"]
    assert colab.pythons == {"3.13"}  # the newest list in colab-*.txt says that it is Colab's


def test_the_newest_releases_are_tried_by_the_clock():
    weekly = Workflow(ROOT / ".github" / "workflows" / "weekly.yml")
    assert weekly["on"]["schedule"][0]["cron"].split()[2:4] == ["*", "*"]
    assert weekly["on"]["schedule"][0]["cron"].split()[4].isdigit()
    assert weekly.lines == ["make test CONSTRAINTS=/dev/null"]
