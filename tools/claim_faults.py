"""Faults in lessons: what a claim says must become false when what it rests on is computed wrongly (see mutate.py)."""

import hashlib
import json
import os
import sys
import tomllib

CELL_SECONDS = 900  # only to catch a hang
QUIET_KERNEL = ["--IPKernelApp.log_level=40"]  # as in course.py, which may not be imported here: see mutate.HEAVY
KEYS = {"claim", "cells", "old", "new", "before", "what"}

# Runs in the lesson's kernel. The lesson goes on afterwards as if nothing had been: names, random numbers, figures.
TRIAL = '''
def _trial(steps):
    import random

    import matplotlib.pyplot
    import numpy
    import torch
    from IPython.utils.capture import capture_output

    names, figures = dict(globals()), set(matplotlib.pyplot.get_fignums())
    states = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    with capture_output():
        try:
            for step in steps:
                exec(compile(get_ipython().transform_cell(step), "<fault>", "exec"), names)
            return ["", ""]
        except Exception as error:
            return [type(error).__name__, str(error)]
        finally:
            for figure in set(matplotlib.pyplot.get_fignums()) - figures:
                matplotlib.pyplot.close(figure)
            random.setstate(states[0])
            numpy.random.set_state(states[1])
            torch.set_rng_state(states[2])


print(__import__("json").dumps(_trial(STEPS)))
'''


def numbers(root):
    """Return the numbers of all lessons that have claims."""
    return [path.stem[:2] for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
            if '"claim"' in path.read_text(encoding="utf-8")]


def read(root, number):
    """Return a lesson's path, its code cells by their ids, and its faults; one that makes no sense ends the program."""
    import nbformat

    found = sorted((root / "notebooks").glob(f"{number}_*.ipynb"))
    if not found:
        sys.exit(f"There is no lesson {number}.")
    notebook = nbformat.read(found[0], as_version=4)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    file = root / "tests" / "faults" / f"lesson{number}.toml"
    faults = tomllib.loads(file.read_text(encoding="utf-8")).get("fault", []) if file.is_file() else []
    for fault in faults:
        fault.setdefault("cells", [fault.get("claim")])
        if problem := _wrong_with(fault, cells):
            sys.exit(f"tests/faults/{file.name}, '{fault.get('what')}': {problem}")
    if len({fault["what"] for fault in faults}) < len(faults):
        sys.exit(f"tests/faults/{file.name}: two faults have the same 'what'.")
    return found[0], cells, faults


def _wrong_with(fault, cells):
    if missing := [name for name in fault["cells"] if name not in cells]:
        return f"there is no code cell {', '.join(map(str, missing))}"
    if not is_claim(cells[fault["claim"]]) or fault["cells"][-1] != fault["claim"]:
        return "'claim' must name a cell tagged claim, and 'cells' must end with it"
    if not fault.get("what") or set(fault) - KEYS:
        return f"a fault has {', '.join(sorted(KEYS))}; 'what' says what is wrong"
    if ({"old", "new"} <= set(fault)) == ("before" in fault):
        return "either 'old' and 'new' or 'before' is needed"
    times = "\n".join(cells[name].source for name in fault["cells"]).count(fault.get("old", ""))
    if "old" in fault and times != 1:
        return f"'old' occurs {times} times in its cells, not once"
    return None


def is_claim(cell):
    return "claim" in cell.metadata.get("tags", [])


def names(root):
    """Return the (file, fault) of all faults in lessons."""
    found = set()
    for number in numbers(root):
        path, _cells, faults = read(root, number)
        found |= {(str(path.relative_to(root)), fault["what"]) for fault in faults}
    return found


def without_fault(cells, faults):
    """Return the ids of the claim cells that no fault makes false."""
    tried = {fault["claim"] for fault in faults}
    return [name for name, cell in cells.items() if is_claim(cell) and name not in tried]


def digest(*parts):
    """A checksum of what a result depends on."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def key(fault, cells):
    """A checksum of the fault and of the cells that it is tried with."""
    return digest(fault, [cells[name].source for name in fault["cells"]])


def try_lesson(root, number, known, keep, claim=None):
    """Run a lesson; after each claim run its cells again, as they are (they must pass) and with each fault.

    Parameters
    ----------
    root : Path
    number : str
    known : dict from (str, str) to dict
        The rows of the table. Only faults that are not known to be caught are tried.
    keep : callable
        Takes a row for the table.
    claim : str, optional
        Only the faults of this claim, whether known or not.

    Returns
    -------
    int
        How many faults are not caught, and how many claims have none.
    """
    from nbformat import v4

    path, cells, faults = read(root, number)
    file, uncovered = str(path.relative_to(root)), without_fault(cells, faults)
    if uncovered:
        print(f"lesson {number}: no fault yet for {', '.join(uncovered)}")

    def is_open(fault):
        row = known.get((file, fault["what"]), {})
        return fault["claim"] == claim if claim else not (row.get("caught_by") and row["key"] == key(fault, cells))
    waiting = [fault for fault in faults if is_open(fault)]
    if not waiting:
        print(f"{path.stem}: all {len(faults)} faults are known to be caught")
        return len(uncovered)
    expected, notebook = len(waiting), v4.new_notebook(metadata={"kernelspec": {
        "name": "python3", "display_name": "Python 3", "language": "python"}})
    for name, cell in cells.items():
        if not waiting:
            break  # after the last claim with a fault nothing is to be tried
        notebook.cells.append(v4.new_code_cell(cell.source))
        here = [fault for fault in waiting if fault["claim"] == name]
        waiting = [fault for fault in waiting if fault["claim"] != name]
        for again in dict.fromkeys(tuple(fault["cells"]) for fault in here):
            notebook.cells.append(_trial([cells[part].source for part in again]))
            notebook.cells += [_trial(_steps(fault, cells), fault) for fault in here if tuple(fault["cells"]) == again]
    caught = _run(notebook, path, file, lambda fault, by: keep(
        {"fault": fault["what"], "file": file, "caught_by": by, "key": key(fault, cells)}))
    print(f"{path.stem}: {caught} of {expected} tried faults caught", flush=True)
    return expected - caught + len(uncovered)


def _steps(fault, cells):
    """What is run for a fault: its cells with the fault in one of them, or with lines before them."""
    sources = [cells[name].source for name in fault["cells"]]
    if "before" in fault:
        return [fault["before"], *sources]
    return [source.replace(fault["old"], fault["new"]) for source in sources]


def _trial(sources, fault=None):
    from nbformat import v4

    return v4.new_code_cell(TRIAL.replace("STEPS", repr(sources)), metadata={"trial": True, "fault": fault})


def _run(notebook, path, file, keep):
    """Run a lesson with its trials, print and keep each result as it comes; return how many were caught."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    caught, clean = 0, ["", ""]

    def ended(cell, cell_index, execute_reply):
        nonlocal caught, clean
        if not cell.metadata.get("trial") or execute_reply["content"]["status"] != "ok":
            return
        name, text = json.loads("".join(output.text for output in cell.outputs).splitlines()[-1])
        fault = cell.metadata["fault"]
        if fault is None:
            clean = [name, text]
        elif clean[0] or name not in ("", "ClaimError"):
            why = f"without it the cells end in {clean[0]}: {clean[1]}" if clean[0] else f"it ends in {name}: {text}"
            print(f"invalid   {fault['claim']}: {fault['what']}\n          {why}", flush=True)
        else:
            print(f"{'caught' if name else 'SURVIVED':9} {fault['claim']}: {fault['what']}", flush=True)
            keep(fault, f"{file}::{fault['claim']}" if name else None)
            caught += bool(name)

    # as in conftest.py: no bars, neither the reader's own predictions nor rungs measured before
    os.environ.update(TQDM_DISABLE="1", SFT_LEDGER=os.path.join(os.devnull, "none"), SFT_LADDER=os.devnull,
                      SFT_DEVICE="cpu")
    os.environ.pop("SFT_STRICT", None)
    try:
        NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", on_cell_executed=ended,
                       extra_arguments=list(QUIET_KERNEL), resources={"metadata": {"path": str(path.parent)}}).execute()
    except CellExecutionError as error:
        print(f"{file}: the lesson itself fails: {error.ename}: {error.evalue}")
    return caught
