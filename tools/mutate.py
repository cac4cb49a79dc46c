"""Plant faults and see whether they are noticed: a measure of the tests.

    python tools/mutate.py claims [LESSON …] [--claim ID]    faults in lessons, which their claims must catch
    python tools/mutate.py code [WORD …] [--narrow]          faults in files, which a test or a lesson must catch
    python tools/mutate.py table                             print what is known, and the survivors
    python tools/mutate.py all                               all three; what is known already is not tried again

Faults stand in tests/faults/*.toml, results in benchmarks/results/mutations.json. A result is kept as long as the
fault, what it is planted in and the test that caught it are the same.
"""

import argparse
import contextlib
import fcntl
import importlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import types
from collections import Counter
from pathlib import Path

import claim_faults

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT / "tests" / "faults"
RESULTS = ROOT / "benchmarks" / "results" / "mutations.json"
TRIAL_SECONDS = 3600  # only to catch a hang
KEYS = {"file", "old", "new", "edit", "what", "shows", "tests", "lessons"}
# Imported once and inherited by each trial's process; of the project itself nothing is imported here.
HEAVY = ("torch", "accelerate", "transformers.models.bert.modeling_bert", "datasets", "sklearn.linear_model",
         "gensim.models", "nltk", "matplotlib.pyplot", "ipywidgets", "hypothesis", "nbval.plugin", "pytest")
# Whatever is planted, these would find it by its text, or by what it leaves unused.
LEFT_OUT = ("--ignore=tests/test_mutate.py", "--deselect=tests/test_packaging.py::test_ruff_finds_nothing")


def say(verdict, where, what, why=""):
    print(f"{verdict:9} {where}: {what}" + (f"\n          {why}" if why else ""), flush=True)


def rows_kept():
    """Return the rows of the table, by (file, fault)."""
    rows = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    return {(row["file"], row["fault"]): row for row in rows}


def keep(*rows, only=None):
    """Put rows into the table, and leave in it none but ``only``; several processes may do so at once."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(RESULTS.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        table = {**rows_kept(), **{(row["file"], row["fault"]): row for row in rows}}
        lines = [json.dumps(table[name], ensure_ascii=False) for name in sorted(table) if only is None or name in only]
        part = RESULTS.with_suffix(".part")
        part.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
        part.replace(RESULTS)
    finally:
        os.close(lock)


# ---- Faults in lessons ---------------------------------------------------------------------------------------


def claims(arguments):
    """Try the faults of lessons whose result is not known; return how many are not caught, or not written yet."""
    return sum(claim_faults.try_lesson(ROOT, number, rows_kept(), keep, arguments.claim)
               for number in arguments.lessons or claim_faults.numbers(ROOT))


# ---- Faults in files -----------------------------------------------------------------------------------------


def code_faults():
    """Return the faults in files, each with its key; a fault that makes no sense ends the program."""
    faults = []
    for file in sorted(FAULTS.glob("*.toml")):
        if not file.stem.startswith("lesson"):
            content = tomllib.loads(file.read_text(encoding="utf-8"))
            for fault in content["fault"]:
                if "shows" in fault:
                    fault["shows"] = content.get("prelude", "") + fault["shows"]
                if problem := _wrong_with(fault):
                    sys.exit(f"tests/faults/{file.name}, '{fault.get('what')}': {problem}")
                faults.append(fault)
    names = Counter((fault["file"], fault["what"]) for fault in faults)
    if twice := [what for (_file, what), times in names.items() if times > 1]:
        sys.exit(f"Two faults of one file have the same 'what': {twice[0]}.")
    return faults


def _wrong_with(fault):
    if not fault.get("what") or set(fault) - KEYS:
        return f"a fault has {', '.join(sorted(KEYS))}; 'what' says what is wrong"
    if ({"old", "new"} <= set(fault)) == ("edit" in fault):
        return "either 'old' and 'new' or 'edit' (for a notebook) is needed"
    text = (ROOT / fault["file"]).read_text(encoding="utf-8")
    if "old" in fault and text.count(fault["old"]) != 1:
        return f"'old' occurs {text.count(fault['old'])} times in {fault['file']}, not once"
    if "shows" not in fault and not fault["file"].endswith(".ipynb"):
        return "'shows' is missing: lines that print something else with the fault"
    return None


def code_key(fault, caught_by):
    """A checksum of the fault, what it is planted in, and the test that caught it; of all tests where none did."""
    test = caught_by and caught_by.partition("::")[0]
    tests = [test] if test else [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").glob("*.py"))]
    return claim_faults.digest(fault, *((ROOT / name).read_text(encoding="utf-8") for name in (fault["file"], *tests)))


def planted(fault, text):
    """Return a file's content with the fault in it."""
    if "old" in fault:
        return text.replace(fault["old"], fault["new"])
    import nbformat

    notebook = nbformat.reads(text, as_version=4)
    exec(fault["edit"], {"notebook": notebook, "cells": {cell.id: cell for cell in notebook.cells}})
    return nbformat.writes(notebook) + "\n"


def code(arguments):
    """Try the faults in files whose result is not known; return how many are not caught."""
    table, missed = rows_kept(), 0
    chosen = [fault for fault in code_faults()
              if not arguments.words or any(word in f"{fault['file']} {fault['what']}" for word in arguments.words)]
    open_ = []
    for fault in chosen:
        row = table.get((fault["file"], fault["what"]))
        if not row or row["caught_by"] is None or row["key"] != code_key(fault, row["caught_by"]):
            open_.append(fault)
    print(f"{len(chosen) - len(open_)} of {len(chosen)} faults in files are known to be caught", flush=True)
    if open_:
        with tempfile.TemporaryDirectory(prefix="mutants-") as place:
            copy = Copy(Path(place) / "tree")
            missed = sum(not try_fault(fault, copy, arguments.narrow) for fault in open_)
    return missed


def try_fault(fault, copy, narrow):
    """Plant one fault in the copy, run the tests that may see it, keep the result; return whether it was caught."""
    where, what = fault["file"], fault["what"]
    clean = copy.shown(fault) if "shows" in fault else ["", None]
    with copy.planted(fault) as changed:
        shown = copy.shown(fault) if "shows" in fault else [changed, None]
        if clean[1] or shown[1] or clean[0] == shown[0]:
            why = clean[1] or shown[1] or f"nothing differs: {shown[0].strip()[:200]}"
            say("invalid", where, what, f"'shows': {why}")
            return False
        caught, why = _first_failure(fault, copy, narrow)
    if caught and copy.fails_clean(caught):
        say("invalid", where, what, f"{caught} fails without the fault as well")
        return False
    if why:
        say("invalid", where, what, why)
        return False
    say("caught" if caught else "SURVIVED", where, what, caught or f"{clean[0].strip()} → {shown[0].strip()}"[:300])
    keep({"fault": what, "file": where, "caught_by": caught, "key": code_key(fault, caught)})
    return bool(caught)


def _first_failure(fault, copy, narrow):
    """Return the first test that fails, narrow ones first, and what else went wrong."""
    lessons = [str(path.relative_to(ROOT)) for number in fault.get("lessons", ())
               for path in sorted((ROOT / "notebooks").glob(f"{number}_*.ipynb"))]
    for targets in (fault.get("tests"), None if narrow else ["tests"], lessons):
        if targets:
            found = copy.run(_tested, list(targets))
            if found is None or found[1]:
                return None, f"pytest {' '.join(targets)}: {found[1] if found else 'no end within the time'}"
            if found[0]:
                return found[0], None
    return None, None


class Copy:
    """A copy of the project to plant faults in; what is run in it imports nothing of the original."""

    def __init__(self, folder):
        self.folder, self.passed = folder, {}
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True,
                                text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        for name in HEAVY:
            importlib.import_module(name)

    @contextlib.contextmanager
    def planted(self, fault):
        path = self.folder / fault["file"]
        before = path.read_text(encoding="utf-8")
        after = planted(fault, before)
        path.write_text(after, encoding="utf-8", newline="")
        try:
            yield "changed" if after != before else ""
        finally:
            path.write_text(before, encoding="utf-8", newline="")

    def fails_clean(self, test):
        """Return whether a test fails in the copy as it is; of a notebook's cell, whether the notebook does."""
        target = test.partition("::")[0] if ".ipynb" in test else test
        if target not in self.passed:
            self.passed[target] = self.run(_tested, [target])
        return self.passed[target] != [None, None]

    def shown(self, fault):
        """Return what the fault's lines print in the copy, and the error that ended them, if one did."""
        return self.run(_shown, fault["shows"]) or ["", "its process ended without an answer"]

    def run(self, call, argument):
        """Return ``call(argument)`` from a process of its own in the copy, None if that hung or broke down."""
        sys.stdout.flush()
        mine, its = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=_in_the_copy,
                                                              args=(self.folder, its, call, argument))
        process.start()
        its.close()
        try:
            return mine.recv() if mine.poll(TRIAL_SECONDS) else None
        except EOFError:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # kernels and the like too
            process.join()


def _in_the_copy(folder, answer, call, argument):
    os.setsid()
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    os.chdir(folder)
    os.environ.update(PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    sys.dont_write_bytecode = True
    sys.path[0] = str(folder)
    sys.modules["__main__"] = types.ModuleType("__main__")  # or the processes that tests start would import this file
    answer.send(call(argument))


def _shown(lines):
    """Run Python lines; return what they print, and the error that ended them, if one did."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(lines, {"__name__": "shows"})
    except BaseException as error:  # pytest's own and SystemExit are no Exceptions
        return [printed.getvalue(), f"{type(error).__name__}: {error}"]
    return [printed.getvalue(), None]


def _tested(targets):
    """Run pytest until a test fails; return that test, and what kept the tests from running, if something did."""
    import pytest

    class Watch:
        failed = broken = None

        def pytest_runtest_logreport(self, report):
            if report.failed and self.failed is None:
                self.failed = report.nodeid

        def pytest_collectreport(self, report):
            if report.failed:
                self.broken = f"{report.nodeid} cannot be imported"

    watch = Watch()
    ended = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *LEFT_OUT, *targets], plugins=[watch])
    if ended not in (0, 1) and not watch.broken:
        watch.broken = f"pytest ended with {ended!r}"
    return [watch.failed, watch.broken]


# ---- The table -----------------------------------------------------------------------------------------------


def table(_arguments):
    """Print what is known of all faults that there are; return how many are not known to be caught."""
    wanted = {(fault["file"], fault["what"]) for fault in code_faults()} | claim_faults.names(ROOT)
    keep(only=wanted)
    known = rows_kept()
    counts = Counter((_area(file), state) for file, what in wanted for state in
                     ("faults", "caught" if known.get((file, what), {}).get("caught_by") else "not caught"))
    areas = sorted({area for area, _state in counts})
    print(f"\n{'planted in':28} faults  caught")
    for area in areas:
        print(f"{area:28} {counts[area, 'faults']:6}  {counts[area, 'caught']:6}")
    missed = sorted(wanted - {name for name, row in known.items() if row["caught_by"]})
    print(f"{'together':28} {len(wanted):6}  {len(wanted) - len(missed):6}")
    for file, what in missed:
        say("SURVIVED" if (file, what) in known else "not tried", file, what)
    return len(missed)


def _area(file):
    parts = Path(file).parts
    return parts[0] if parts[0] != "sft_helpers" else "/".join(parts[:2])


def everything(arguments):
    missed = claims(arguments) + code(arguments)
    return max(missed, table(arguments))


def main():
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("claims", help="faults in lessons, which their claims must catch")
    one.add_argument("lessons", nargs="*", help="numbers, such as 03 (default: all)")
    one.add_argument("--claim", help="only the faults of this claim, whether known or not")
    one.set_defaults(call=claims)
    two = commands.add_parser("code", help="faults in files, which a test or a lesson must catch")
    two.add_argument("words", nargs="*", help="only faults with one of these in file or description")
    two.add_argument("--narrow", action="store_true", help="run only the tests and lessons that the faults name")
    two.set_defaults(call=code)
    commands.add_parser("table", help="print what is known, and the survivors").set_defaults(call=table)
    four = commands.add_parser("all", help="all of it; what is known already is not tried again")
    four.set_defaults(call=everything, lessons=[], claim=None, words=[], narrow=False)
    arguments = parser.parse_args()
    if missed := arguments.call(arguments):
        sys.exit(f"{missed} faults survived, are invalid or are still to be written.")


if __name__ == "__main__":
    main()
