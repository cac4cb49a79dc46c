"""Run lessons as Colab would: with the versions that it preinstalls, each alone in an empty folder.

    python tools/colab.py [LESSON …] [--python PYTHON]

The set-up cell is the reader's own: it clones the repository (here one made of the working tree) and installs what
Colab lacks. It may add packages and must change none. Claims bind; outputs are not compared.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import course

ROOT, BUILD = course.ROOT, course.BUILD
UV = BUILD / "uv" / "bin" / "uv"  # made by the Makefile
VENV = BUILD / "colab-venv"
PYTHON = VENV / "bin" / "python"
FREEZE = VENV / "freeze.txt"  # what is preinstalled; each lesson begins with it
ASKED = VENV / "asked.txt"  # what the environment was made for
WORK = BUILD / "colab"
LAUNCH = """\
import sys
sys.path.pop(0)  # the folder that -c adds
import google.colab
from ipykernel import kernelapp
kernelapp.launch_new_instance()
"""


def newest_list():
    """Return the newest dated list of what Colab preinstalls."""
    return max(ROOT.glob("colab-*.txt"))


def obtainable(lines):
    """Turn lines of Colab's ``pip freeze`` into requirements that a package index can satisfy.

    Parameters
    ----------
    lines : iterable of str

    Returns
    -------
    requirements : list of str
    replaced : dict of str to str
        The lines that had to be replaced, and by what.
    """
    requirements, replaced = [], {}
    for line in (line.strip() for line in lines):
        if not line or line.startswith("#"):
            continue
        plain = re.sub(r"\s*@.*", "", line)  # built from a repository: any release of it
        plain = re.sub(r"\+[\w.]+$", "", plain)  # built for Colab's GPUs: the same version for what is here
        requirements.append(plain)
        if plain != line:
            replaced[line] = plain
    return requirements, replaced


def changes(before, after):
    """Compare two lists of ``pip freeze``.

    Parameters
    ----------
    before, after : list of str

    Returns
    -------
    added : list of str
        Lines of packages that were not there.
    changed : list of str
        What became of each package that did not stay as it was, in words.
    """
    old, new = ({_name(line): line for line in lines} for lines in (before, after))
    added = [line for name, line in new.items() if name not in old]
    changed = [f"{line} became {new[name]}" if name in new else f"{line} was removed"
               for name, line in old.items() if new.get(name) != line]
    return added, changed


def _name(line):
    return re.split(r"\s*(?:==|@)", line)[0].lower().replace("_", "-").replace(".", "-")


def asked_for(notebook):
    """Return the packages that a lesson's set-up cell asks pip for."""
    cells = json.loads(notebook)["cells"]
    setup = "".join("".join(cell["source"]) + "\n" for cell in cells if "setup" in cell["metadata"].get("tags", []))
    return [word for words in re.findall(r"^ *!pip install (.+)$", setup, re.M)
            for word in words.split() if not word.startswith("-")]


def make_environment(python):
    """Install what Colab preinstalls into ``_build/colab-venv``, unless it is there."""
    if not UV.is_file():
        sys.exit("uv is missing: call this by `make test-colab`.")
    listed = newest_list()
    requirements, replaced = obtainable(listed.read_text(encoding="utf-8").splitlines())
    version = subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"as in {listed.name}, on {version}")
    for line, plain in replaced.items():
        print(f"  {line} cannot be had from PyPI: {plain} instead")
    asked = "\n".join([f"# {version}", *requirements]) + "\n"
    if ASKED.is_file() and ASKED.read_text(encoding="utf-8") == asked:
        return
    subprocess.run([UV, "venv", "--quiet", "--seed", "--clear", "--python", python, VENV], check=True)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", PYTHON, *requirements], check=True)
    FREEZE.write_text("\n".join(freeze()) + "\n", encoding="utf-8")
    ASKED.write_text(asked, encoding="utf-8")


def freeze():
    """Return the lines of ``pip freeze --all`` in the environment."""
    done = subprocess.run([PYTHON, "-m", "pip", "freeze", "--all"], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def restore():
    """Take out of the environment what a lesson added."""
    subprocess.run([UV, "pip", "sync", "--quiet", "--python", PYTHON, FREEZE], check=True)


def make_repository():
    """Commit the working tree into a repository of its own, and return its address."""
    git_dir = WORK / "published.git"
    WORK.mkdir(parents=True, exist_ok=True)
    git = ["git", f"--git-dir={git_dir}", f"--work-tree={ROOT}", "-c", f"core.excludesFile={ROOT}/.git/info/exclude",
           "-c", "user.name=course", "-c", "user.email=course"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--allow-empty", "-m", "as it is"]):
        subprocess.run([*git, *command], check=True, cwd=ROOT)
    return git_dir.as_uri()


def make_kernel(repository):
    """Describe a kernel of the environment, for which the published address leads to the local repository."""
    published = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    stub = WORK / "stub" / "google" / "colab"
    stub.mkdir(parents=True, exist_ok=True)
    (stub / "__init__.py").touch()  # Colab's kernel has imported its own package, by which the set-up cell knows it
    environment = {
        "PATH": os.pathsep.join([str(VENV / "bin"), os.environ["PATH"]]), "VIRTUAL_ENV": str(VENV),
        "PYTHONPATH": str(stub.parents[1]), "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"{published}.git",
        "SFT_STRICT": "1", "TQDM_DISABLE": "1", "CUDA_VISIBLE_DEVICES": ""}  # claims bind on a CPU
    folder = WORK / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps({
        "argv": [str(PYTHON), "-c", LAUNCH, "-f", "{connection_file}"], "display_name": "as in Colab",
        "language": "python", "env": environment}), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(folder.parent.parent)


def run_lesson(path):
    """Run one lesson where nothing else is; return what pip added, and what went wrong."""
    text = path.read_text(encoding="utf-8")
    restore()
    before = freeze()
    with tempfile.TemporaryDirectory(prefix="content_") as content:
        alone = Path(content) / path.name
        # Colab's folder, which can only be made here by an administrator
        alone.write_text(text.replace("/content/", f"{Path(content).resolve().as_posix()}/"), encoding="utf-8")
        _status, problem = course.run_one(alone, {}, WORK / path.name)
    added, changed = changes(before, freeze())
    there = [name for name in asked_for(text) if _name(name) in {_name(line) for line in before}]
    problems = [problem] if problem else []
    problems += [f"pip changed what was preinstalled: {line}" for line in changed]
    problems += [f"pip was asked for {name}, which was there" for name in there]
    return added, problems


def main():
    parser = argparse.ArgumentParser(prog="colab", description=__doc__.split("\n")[0])
    parser.add_argument("lessons", nargs="*", help="numbers or names, such as 03 (default: all)")
    parser.add_argument("--python", default=sys.executable, help="what the environment is made with")
    arguments = parser.parse_args()
    chosen = course.lessons(arguments.lessons)
    make_environment(arguments.python)
    make_kernel(make_repository())
    width = max(len(path.stem) for path in chosen)
    failures = []
    print(f"{'lesson':<{width}}  status  seconds  added by pip", flush=True)
    for path in chosen:
        began = time.perf_counter()
        added, problems = run_lesson(path)
        print(f"{path.stem:<{width}}  {'failed' if problems else 'passed'}  {time.perf_counter() - began:>7.0f}  "
              f"{', '.join(added)}", flush=True)
        for problem in problems:
            print(f"  {problem}", flush=True)
        failures += [path.stem] if problems else []
    print(f"executed notebooks are in {WORK.relative_to(ROOT)}")
    if failures:
        sys.exit(f"failed: {', '.join(failures)}")


if __name__ == "__main__":
    main()
