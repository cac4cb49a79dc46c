"""The measure of the tests, measured: on a tiny project it counts as caught what a test catches, and nothing else."""

import json
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
if sys.platform != "win32":
    import claim_faults
    import mutate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="trials are forked, results locked")
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="needs git")
TOY = "def double(x):\n    return x + x\n\n\ndef unseen(x):\n    return x + 1\n"
SEEN = "import mutated_toy\n\n\ndef test_double():\n    assert mutated_toy.double(3) == 6\n"
FAULT = """
[[fault]]
file = "mutated_toy.py"
old = '''{old}'''
new = '''{new}'''
what = "{what}"
shows = "import mutated_toy; print(mutated_toy.double(3), mutated_toy.unseen(3))"
"""
CAUGHT = FAULT.format(old="x + x", new="x * x", what="squared")
SURVIVOR = FAULT.format(old="x + 1", new="x + 2", what="two more")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one module and one test; the function that is handed out plants faults in it."""
    root = tmp_path / "toy"
    (root / "tests" / "faults").mkdir(parents=True)
    (root / "mutated_toy.py").write_text(TOY)
    (root / "tests" / "test_mutated_toy.py").write_text(SEEN)
    subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
    for name, value in (("ROOT", root), ("FAULTS", root / "tests" / "faults"), ("HEAVY", ()),
                        ("RESULTS", root / "results" / "mutations.json"), ("TRIAL_SECONDS", 120)):
        monkeypatch.setattr(mutate, name, value)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the toy's test needs none

    def plant(*faults):
        (root / "tests" / "faults" / "toy.toml").write_text("".join(faults))
        missed = mutate.code(Namespace(words=[], narrow=False))
        rows = json.loads(mutate.RESULTS.read_text()) if mutate.RESULTS.is_file() else []
        return missed, {row["fault"]: row["caught_by"] for row in rows}
    plant.root = root
    return plant


@needs_git
@pytest.mark.slow
def test_a_fault_that_a_test_sees_is_caught_and_one_that_none_sees_survives(project, capsys):
    assert project(CAUGHT, SURVIVOR) == (1, {"squared": "tests/test_mutated_toy.py::test_double", "two more": None})
    said = capsys.readouterr().out
    assert "caught    mutated_toy.py: squared" in said and "SURVIVED  mutated_toy.py: two more" in said
    assert "6 4" in said and "6 5" in said  # what the survivor changes
    assert (project.root / "mutated_toy.py").read_text() == TOY  # planted in a copy


@needs_git
@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "says"), [
    ("x + x", "x + x + 0", "nothing differs"), ("def double(x):", "def double(x)", "SyntaxError"),
    ("def double", "import no_such_module\n\n\ndef double", "ModuleNotFoundError"),
    ("return x + x", "return undefined", "NameError"), ("return x + x", "raise SystemExit(7)", "SystemExit"),
    ("return x + x", "__import__('os')._exit(1)", "ended without an answer")])
def test_a_fault_that_changes_nothing_or_breaks_the_module_is_invalid_and_not_kept(project, capsys, old, new, says):
    assert project(FAULT.format(old=old, new=new, what="bad")) == (1, {})
    said = capsys.readouterr().out
    assert "invalid   mutated_toy.py: bad" in said and says in said


@needs_git
@pytest.mark.slow
def test_a_test_that_fails_without_the_fault_catches_nothing(project, capsys):
    (project.root / "tests" / "test_mutated_toy.py").write_text(SEEN.replace("== 6", "== 7"))
    assert project(CAUGHT) == (1, {})
    assert "fails without the fault as well" in capsys.readouterr().out


@needs_git
@pytest.mark.slow
def test_what_is_known_is_not_tried_again_until_the_file_the_test_or_the_fault_changes(project, capsys):
    def tried():
        project(CAUGHT)
        return "caught  " in capsys.readouterr().out
    assert tried() and not tried()
    for name, text in (("mutated_toy.py", TOY + "# more\n"), ("tests/test_mutated_toy.py", SEEN + "# more\n")):
        (project.root / name).write_text(text)
        assert tried() and not tried(), name
    (project.root / "another.py").write_text("")
    assert not tried()
    assert project(CAUGHT.replace("x * x", "x - x")) == (0, {"squared": "tests/test_mutated_toy.py::test_double"})
    assert "caught  " in capsys.readouterr().out


@needs_git
@pytest.mark.slow
def test_a_survivor_is_tried_again_and_narrow_runs_the_named_tests_alone(project):
    (project.root / "tests" / "test_other.py").write_text("def test_nothing():\n    pass\n")
    fault = CAUGHT + 'tests = ["tests/test_other.py"]\n'
    (project.root / "tests" / "faults" / "toy.toml").write_text(fault)
    assert mutate.code(Namespace(words=[], narrow=True)) == 1
    assert project(fault) == (0, {"squared": "tests/test_mutated_toy.py::test_double"})


@pytest.mark.parametrize(("faults", "says"), [
    ([FAULT.format(old="x + ", new="x - ", what="bad")], "'old' occurs 2 times"),
    ([FAULT.format(old="y", new="z", what="bad")], "'old' occurs 0 times"),
    ([CAUGHT.replace('what = "squared"\n', "")], "'what' says what is wrong"),
    ([CAUGHT + "sure = true\n"], "a fault has"), ([CAUGHT + 'edit = "pass"\n'], "either 'old' and 'new' or 'edit'"),
    (["\n".join(line for line in CAUGHT.splitlines() if not line.startswith("shows"))], "'shows' is missing"),
    ([CAUGHT, CAUGHT], "have the same 'what': squared")])
@needs_git
def test_a_fault_that_makes_no_sense_is_refused(project, faults, says):
    with pytest.raises(SystemExit, match=says):
        project(*faults)


def test_a_notebook_is_edited_by_its_cells():
    cell = nbformat.v4.new_code_cell("print(1)", outputs=[nbformat.v4.new_output("stream", text="1\n")])
    text = nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))
    edited = nbformat.reads(mutate.planted({"edit": f"cells['{cell.id}'].outputs = []"}, text), as_version=4)
    assert edited.cells[0].source == "print(1)" and edited.cells[0].outputs == []


# ---- faults in lessons ---------------------------------------------------------------------------------------

LESSON = [("d0000001", "from sft_helpers.claims import claim\nvalues = [1, 2, 3]", []),
          ("d0000002", "total = sum(values)", []),
          ("d0000003", 'claim("They sum to {total}.", total=total, holds=lambda total: total > 4)', ["claim"]),
          ("d0000004", 'claim("The first is still {first}.", first=values[0], holds=lambda first: first == 1)',
           ["claim"])]


def lesson(root, faults):
    (root / "notebooks").mkdir()
    (root / "tests" / "faults").mkdir(parents=True)
    cells = [nbformat.v4.new_code_cell(source, id=name, metadata={"tags": tags}) for name, source, tags in LESSON]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / "01_toy.ipynb")
    (root / "tests" / "faults" / "lesson01.toml").write_text("".join("[[fault]]\n" + fault for fault in faults))


def fault(what, change, claim="d0000003", cells='["d0000002", "d0000003"]'):
    return f'claim = "{claim}"\ncells = {cells}\n{change}\nwhat = "{what}"\n'


@pytest.mark.slow
def test_a_claim_that_becomes_false_catches_its_fault_and_an_error_of_another_kind_does_not(tmp_path, capsys):
    lesson(tmp_path, [fault("only the first", 'old = "sum(values)"\nnew = "values[0]"'),
                      fault("harmless", 'old = "sum(values)"\nnew = "sum(values) + 1"'),
                      fault("broken", 'old = "sum(values)"\nnew = "values.sum()"'),
                      fault("none left", 'before = "values = []"')])
    kept = {}
    missed = claim_faults.try_lesson(tmp_path, "01", {}, lambda row: kept.update({row["fault"]: row["caught_by"]}))
    file = "notebooks/01_toy.ipynb::d0000003"
    assert kept == {"only the first": file, "harmless": None, "none left": file}
    assert missed == 2 + 1  # one survived, one is invalid, and a claim has no fault
    said = capsys.readouterr().out
    assert "no fault yet for d0000004" in said and "invalid   d0000003: broken" in said and "AttributeError" in said


@pytest.mark.parametrize(("faults", "says"), [
    ([fault("x", 'old = "values"\nnew = "v"', cells='["d0000001", "d0000002", "d0000003"]')], "occurs 2 times"),
    ([fault("x", 'before = "a = 1"', cells='["d0000002"]')], "'cells' must end with it"),
    ([fault("x", 'before = "a = 1"', claim="d0000002")], "tagged claim"),
    ([fault("x", 'before = "a = 1"', cells='["nowhere1", "d0000003"]')], "there is no code cell nowhere1"),
    ([fault("x", 'before = "a = 1"\nold = "sum"\nnew = "max"')], "either 'old' and 'new' or 'before'"),
    ([fault("x", 'before = "a = 1"')] * 2, "the same 'what'")])
def test_a_fault_of_a_claim_that_makes_no_sense_is_refused(tmp_path, faults, says):
    lesson(tmp_path, faults)
    with pytest.raises(SystemExit, match=says):
        claim_faults.read(tmp_path, "01")


# ---- the table -----------------------------------------------------------------------------------------------


def test_every_fault_stands_in_the_table_and_was_caught():
    caught = {name for name, row in mutate.rows_kept().items() if row["caught_by"]}
    wanted = {(fault["file"], fault["what"]) for fault in mutate.code_faults()} | claim_faults.names(ROOT)
    assert len(wanted) > 200 and wanted - caught == set()


def test_every_claim_has_a_fault():
    for number in claim_faults.numbers(ROOT):
        _path, cells, faults = claim_faults.read(ROOT, number)
        assert claim_faults.without_fault(cells, faults) == [], number


def test_a_claim_and_its_faults_are_those_that_were_tried():
    """A claim that was weakened, or a fault that was, has to be tried again."""
    known = mutate.rows_kept()
    for number in claim_faults.numbers(ROOT):
        path, cells, faults = claim_faults.read(ROOT, number)
        for fault in faults:
            row = known.get((str(path.relative_to(ROOT)), fault["what"]), {})
            assert row.get("key") == claim_faults.key(fault, cells), (number, fault["what"])
