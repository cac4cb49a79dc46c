"""Run the lessons, record their outputs, write the badges.

    python tools/course.py run [LESSON …] [--backbone NAME] [--data NAME]
    python tools/course.py outputs [LESSON …]
    python tools/course.py badges OWNER/NAME
"""

import argparse
import json
import math
import os
import re
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "_build"
CELL_SECONDS = 600  # only to catch a hang
QUIET_KERNEL = ["--IPKernelApp.log_level=40"]  # errors only: a kernel's notes on its transport are not the reader's


def lessons(wanted=()):
    """Return the notebooks whose numbers or names are wanted, all if none is, in order."""
    found = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not wanted:
        return found
    chosen = [path for path in found if path.stem in wanted or path.stem[:2] in wanted]
    unknown = [name for name in wanted if not any(name in (path.stem, path.stem[:2]) for path in found)]
    if unknown:
        sys.exit(f"There is no lesson {', '.join(unknown)}; there are {', '.join(path.stem for path in found)}.")
    return chosen


class PeakMemory:
    """The highest resident memory of this process's children, in MiB, sampled while a lesson runs."""

    def __enter__(self):
        self.mib, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        import psutil

        me = psutil.Process()
        while not self._stop.wait(0.1):
            total = 0
            for child in me.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.Error:
                    continue  # it ended between the two calls
            self.mib = max(self.mib, total / 2**20)


def run_one(path, parameters, target):
    """Execute one lesson in a fresh kernel; return its status, and what failed."""
    import papermill

    declared = papermill.inspect_notebook(str(path))
    chosen = {name: value for name, value in parameters.items() if name in declared}
    try:
        papermill.execute_notebook(str(path), str(target), parameters=chosen, cwd=str(path.parent),
                                   kernel_name="python3", execution_timeout=CELL_SECONDS, log_output=False,
                                   extra_arguments=list(QUIET_KERNEL),
                                   progress_bar={"leave": False, "desc": path.stem})
    except papermill.PapermillExecutionError as error:
        source = error.source.strip().splitlines()
        return "failed", f"cell {error.exec_count} ({source[0] if source else ''}): {error.ename}: {error.evalue}"
    except Exception as error:  # a kernel that died, a cell that hung
        return "failed", f"{type(error).__name__}: {error}"
    return "passed", None


def run(arguments):
    """Execute the lessons into _build/executed and write _build/run.json."""
    from sft_helpers import data, environment, lesson, models, resources

    os.environ.update(SFT_STRICT="1", TQDM_DISABLE="1", SFT_LADDER=str(BUILD / "ladder.json"))
    parameters = {}
    try:
        if arguments.backbone:
            found = resources.find_backbone(arguments.backbone)
            models.load_tokenizer(found)
            models.load_backbone(found)
            parameters["backbone"] = _from_here(arguments.backbone)
        if arguments.data:
            labels = data.load(arguments.data)["train"].features["label"].names
            if len(labels) != 2:
                sys.exit(f"The lessons need data with two labels; {arguments.data} has {len(labels)}. More of them: "
                         "python -m sft_helpers.finetune.")
            parameters["data"] = _from_here(arguments.data)
    except (resources.ResourceError, data.DataError) as error:
        sys.exit(str(error))
    chosen = lessons(arguments.lessons)
    executed = BUILD / "executed"
    executed.mkdir(parents=True, exist_ok=True)
    report = {"device": environment.device_label(), "backbone": arguments.backbone or resources.EMBEDDED,
              "data": arguments.data or lesson.DEFAULT_DATA, "lessons": []}
    failures = []
    for path in chosen:
        began = time.perf_counter()
        with PeakMemory() as peak:
            status, problem = run_one(path, parameters, executed / path.name)
        row = {"lesson": path.stem, "status": status, "seconds": round(time.perf_counter() - began, 1),
               "peak_mib": round(peak.mib)}
        report["lessons"].append(row)
        print(f"{row['lesson']}: {status} in {row['seconds']} s", flush=True)
        if problem:
            failures.append(f"{path.name}, {problem}")
            print(f"  {failures[-1]}", flush=True)
        (BUILD / "run.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    width = max(len(row["lesson"]) for row in report["lessons"])
    print(f"\n{'lesson':<{width}}  status  seconds  peak MiB")
    for row in report["lessons"]:
        print(f"{row['lesson']:<{width}}  {row['status']}  {row['seconds']:>7}  {row['peak_mib']:>8}")
    print(f"\nrun on {report['device']}, backbone {report['backbone']}, data {report['data']}; "
          f"executed notebooks are in {executed.relative_to(ROOT)}")
    if failures:
        sys.exit("failed: " + "; ".join(failures))


def _from_here(name):
    """A path given to the command is relative to where the command runs, not to the notebook's folder."""
    from sft_helpers import data, resources

    if name in (resources.EMBEDDED, *data.SHIPPED):
        return name
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name


def outputs(arguments):
    """Run lessons and their solutions in fresh kernels and store their outputs in place."""
    import nbformat
    from nbclient import NotebookClient

    os.environ.update(TQDM_DISABLE="1", SFT_LEDGER=str(BUILD / "no_predictions.json"),
                      SFT_LADDER=os.devnull, SFT_DEVICE="cpu")
    BUILD.mkdir(exist_ok=True)
    paths = [path for lesson in lessons(arguments.lessons)
             for path in (lesson, NOTEBOOKS / "solutions" / lesson.name) if path.is_file()]
    for path in paths:
        began = time.perf_counter()
        notebook, before = (nbformat.read(path, as_version=4) for _ in range(2))
        NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", record_timing=False,
                       store_widget_state=False, coalesce_streams=True, extra_arguments=list(QUIET_KERNEL),
                       resources={"metadata": {"path": str(path.parent)}}).execute()
        tidy(notebook)
        nbformat.validate(notebook)
        nbformat.write(notebook, path)
        print(f"{path.relative_to(NOTEBOOKS)}: {time.perf_counter() - began:.1f} s, "
              f"{path.stat().st_size / 1024:.0f} KiB", flush=True)
        for line in changes(before, notebook):
            print(f"  {line}", flush=True)


def changes(before, after):
    """Say which outputs changed, cell by cell: numbers and figures by how much, and whether words did.

    Parameters
    ----------
    before, after : nbformat.NotebookNode

    Yields
    ------
    str
    """
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.nbval_compare import DRAWN, moved, settled

    old = {cell.id: cell.outputs for cell in before.cells if cell.cell_type == "code"}
    for cell in after.cells:
        if cell.cell_type != "code" or not (old.get(cell.id) or cell.outputs):
            continue
        name = f"cell {cell.execution_count} ({cell.source.strip().partition(chr(10))[0][:60]})"
        if not old.get(cell.id):
            yield f"{name}: new"
            continue
        anything = {"abs": math.inf, "integers": True, "figure": math.inf}
        stored, fresh = ([(output.get("text"), *(output.get("data", {}).get(kind) for kind in ("text/plain", DRAWN)))
                          for output in outputs] for outputs in settled(old[cell.id], cell.outputs, anything))
        distances = zip(("numbers", "figure"), moved(old[cell.id], cell.outputs), ("", " thousandths of an axis"),
                        strict=True)
        by = [f"{what} moved by at most {distance:.3g}{unit}" for what, distance, unit in distances if distance]
        if stored != fresh:
            by.append("more than numbers changed")
        if by and "why_not_compared" not in cell.metadata:
            yield f"{name}: {', '.join(by)}"


def tidy(notebook):
    """Remove what an editor or a run leaves behind: timings, widget state, the machine's Python version."""
    kept = {key: notebook.metadata[key] for key in ("course", "accelerator", "colab") if key in notebook.metadata}
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                         "language_info": {"name": "python"}, **kept}
    for cell in notebook.cells:
        for name in ("execution", "collapsed", "papermill", "jupyter", "trusted", "lines_to_next_cell"):
            cell.metadata.pop(name, None)


def badges(arguments):
    """Write the published address into pyproject.toml, where it stands, and from there into README and notebooks."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", arguments.repo):
        sys.exit(f"'{arguments.repo}' is not an address of the form owner/name.")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    old = re.search(r'Repository = "https://github\.com/([\w.-]+/[\w.-]+)"', project).group(1)
    paths = [ROOT / "pyproject.toml", ROOT / "README.md", *NOTEBOOKS.glob("*.ipynb"),
             *NOTEBOOKS.glob("solutions/*.ipynb")]
    for path in paths:
        before = path.read_text(encoding="utf-8")
        after = before
        for host in ("github.com", "colab.research.google.com/github"):
            after = after.replace(f"{host}/{old}", f"{host}/{arguments.repo}")
        if after != before:
            path.write_text(after, encoding="utf-8", newline="\n")
            print(f"{path.relative_to(ROOT)}: address written")


def main():
    parser = argparse.ArgumentParser(prog="course", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="execute lessons into _build/executed, write _build/run.json")
    one.add_argument("lessons", nargs="*", help="numbers or names, such as 03 (default: all)")
    one.add_argument("--backbone", help="'embedded', a hub name or a folder")
    one.add_argument("--data", help="'reviews', a CSV file or a hub name")
    one.set_defaults(call=run)
    two = commands.add_parser("outputs", help="run lessons and solutions fresh, store their outputs in the notebooks")
    two.add_argument("lessons", nargs="*", help="numbers or names, such as 03 (default: all)")
    two.set_defaults(call=outputs)
    three = commands.add_parser("badges", help="write the repository's address everywhere it stands")
    three.add_argument("repo", help="owner/name")
    three.set_defaults(call=badges)
    arguments = parser.parse_args()
    arguments.call(arguments)


if __name__ == "__main__":
    main()
