"""The runner: reports, failures that are named, parameters, refusals, badges."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from tests import tiny

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def course(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("course", ROOT / "tools" / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "notebooks").mkdir()
    for name, folder in (("ROOT", ""), ("NOTEBOOKS", "notebooks"), ("BUILD", "_build")):
        monkeypatch.setattr(module, name, tmp_path / folder)
    monkeypatch.setattr(module.os, "environ", dict(module.os.environ))
    return module


def add(course, name, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, course.NOTEBOOKS / f"{name}.ipynb")


def run(course, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["course", *arguments])
    course.main()


@pytest.mark.slow
def test_a_failing_lesson_is_named_and_the_others_still_run(course, monkeypatch, capsys):
    add(course, "00_good", "data = 'reviews'", "print(data)")
    add(course, "01_bad", "x = 1", "y = 2\nx / 0")
    add(course, "02_good", "import os", "assert os.environ['SFT_STRICT'] == '1'")
    with pytest.raises(SystemExit) as stop:
        run(course, monkeypatch, "run")
    assert "01_bad.ipynb, cell 2 (y = 2): ZeroDivisionError" in str(stop.value)
    report = json.loads((course.BUILD / "run.json").read_text())
    assert [row["status"] for row in report["lessons"]] == ["passed", "failed", "passed"]
    assert set(report) == {"device", "backbone", "data", "lessons"}
    assert set(report["lessons"][0]) == {"lesson", "status", "seconds", "peak_mib"}
    assert all(row["seconds"] > 0 and row["peak_mib"] > 10 for row in report["lessons"])
    said = capsys.readouterr().out
    assert "peak MiB" in said and "02_good" in said
    assert (course.BUILD / "executed" / "02_good.ipynb").is_file()


@pytest.mark.slow
def test_some_lessons_and_unknown_ones(course, monkeypatch):
    add(course, "00_a", "x = 1")
    add(course, "01_b", "x = 1")
    run(course, monkeypatch, "run", "01")
    assert [row["lesson"] for row in json.loads((course.BUILD / "run.json").read_text())["lessons"]] == ["01_b"]
    assert [path.stem for path in course.lessons(["01_b"])] == ["01_b"]
    with pytest.raises(SystemExit, match="There is no lesson 07; there are 00_a, 01_b"):
        run(course, monkeypatch, "run", "07")


@pytest.mark.slow
def test_parameters_reach_the_tagged_cell_and_nothing_else_changes(course, monkeypatch, tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_text("text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(30)))
    add(course, "00_a", "data = 'reviews'\nseed = 0", "print(data, seed)")
    add(course, "01_b", "seed = 0", "print(seed)")  # has no data: it is run as it stands
    monkeypatch.chdir(tmp_path)
    run(course, monkeypatch, "run", "--data", "mine.csv")
    executed = nbformat.read(course.BUILD / "executed" / "00_a.ipynb", 4)
    assert executed.cells[-1].outputs[0].text == f"{mine} 0\n"
    assert [cell.source for cell in executed.cells if "injected-parameters" not in cell.metadata.get("tags", [])] == [
        "data = 'reviews'\nseed = 0", "print(data, seed)"]
    assert json.loads((course.BUILD / "run.json").read_text())["data"] == "mine.csv"
    mine.write_text("text,label\n" + "".join(f"text {i},{'abc'[i % 3]}\n" for i in range(30)))
    with pytest.raises(SystemExit, match="need data with two labels; mine.csv has 3"):
        run(course, monkeypatch, "run", "--data", "mine.csv")


@pytest.mark.slow
@pytest.mark.parametrize(("option", "value", "says"), [
    ("--backbone", "bert-bse", "Unknown backbone 'bert-bse'"),
    ("--data", "nowhere.csv", "there is no such file"),
])
def test_what_cannot_be_had_stops_the_run_with_one_sentence(option, value, says):
    done = subprocess.run([sys.executable, "tools/course.py", "run", option, value], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 1
    assert says in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.slow
def test_recording_says_what_moved(course, monkeypatch, capsys):
    figure = """from sft_helpers import plots
figure, axis = plots.subplots()
axis.plot([0, 10], [0, {}])
axis.set(xlim=(0, 10), ylim=(0, 10), title={!r})
plots.show(figure, "a line")"""
    add(course, "00_a", "data = 'reviews'", "print('loss 0.50')", "print('steady')", "print('few')",
        figure.format(5, "A line"), figure.format(5, "A line"))
    run(course, monkeypatch, "outputs")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert len(said) == 5 and all(line.endswith(": new") for line in said)
    run(course, monkeypatch, "outputs")
    assert "  " not in capsys.readouterr().out
    path = course.NOTEBOOKS / "00_a.ipynb"
    notebook = nbformat.read(path, 4)
    for cell, source in zip(notebook.cells[1:], ("print('loss 0.53')", "print('steady')", "print('many')",
                                                 figure.format(6, "A line"), figure.format(5, "A curve")), strict=True):
        cell.source = source
    nbformat.write(notebook, path)
    run(course, monkeypatch, "outputs")
    said = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert said == ["cell 2 (print('loss 0.53')): numbers moved by at most 0.03",
                    "cell 4 (print('many')): more than numbers changed",
                    "cell 5 (from sft_helpers import plots): figure moved by at most 100 thousandths of an axis",
                    "cell 6 (from sft_helpers import plots): more than numbers changed"]


def test_badges_are_written_everywhere(course, monkeypatch):
    for path in (ROOT / "pyproject.toml", ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))):
        target = course.ROOT / path.relative_to(ROOT)
        target.write_bytes(path.read_bytes())
    run(course, monkeypatch, "badges", "some-one/my.course")
    project = (course.ROOT / "pyproject.toml").read_text()
    assert 'Repository = "https://github.com/some-one/my.course"' in project
    for path in course.NOTEBOOKS.glob("*.ipynb"):
        text = path.read_text()
        assert f"colab.research.google.com/github/some-one/my.course/blob/main/notebooks/{path.name}" in text
        assert "https://github.com/some-one/my.course.git" in text
        assert "OWNER/REPO" not in text
        nbformat.validate(nbformat.read(path, 4))
    run(course, monkeypatch, "badges", "other/name")  # and again, from a written address
    assert "github.com/other/name" in (course.ROOT / "pyproject.toml").read_text()
    for wrong in ("nonsense", "a/b/c"):
        with pytest.raises(SystemExit, match="not an address"):
            run(course, monkeypatch, "badges", wrong)


def test_the_backbone_asked_for_reaches_the_lesson(course, monkeypatch, tmp_path):
    add(course, "00_a", "backbone = 'embedded'")
    asked = []
    monkeypatch.setattr(course, "run_one", lambda _path, given, _target: asked.append(given) or ("passed", None))
    run(course, monkeypatch, "run", "--backbone", str(tiny.backbone(tmp_path / "bert").folder))
    assert asked == [{"backbone": str(tmp_path / "bert")}]


def test_a_lesson_is_given_what_it_declares_and_runs_where_it_stands(course, monkeypatch):
    add(course, "01_b", "seed = 0")
    asked = {}
    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **how: asked.update(how))
    assert course.run_one(course.NOTEBOOKS / "01_b.ipynb", {"data": "mine"}, course.ROOT / "x.ipynb")[0] == "passed"
    assert asked["parameters"] == {} and asked["cwd"] == str(course.NOTEBOOKS)


def test_a_kernel_that_dies_is_a_failure(course, monkeypatch):
    def dies(*_, **_how):
        raise RuntimeError("Kernel died")
    add(course, "00_a", "x = 1")
    monkeypatch.setattr(papermill, "execute_notebook", dies)
    assert course.run_one(course.NOTEBOOKS / "00_a.ipynb", {}, course.ROOT / "x.ipynb") == (
        "failed", "RuntimeError: Kernel died")


def test_a_shipped_name_is_no_folder_of_that_name(course, tmp_path, monkeypatch):
    (tmp_path / "reviews").mkdir()
    monkeypatch.chdir(tmp_path)
    assert course._from_here("reviews") == "reviews"


def test_what_colab_is_asked_for_stays_in_a_recorded_lesson(course):
    notebook = nbformat.v4.new_notebook(metadata={"accelerator": "GPU", "colab": {"gpuType": "T4"}, "widgets": {}})
    course.tidy(notebook)
    assert notebook.metadata.accelerator == "GPU" and notebook.metadata.colab == {"gpuType": "T4"}
    assert "widgets" not in notebook.metadata


@pytest.mark.slow
def test_solutions_are_recorded_too_and_on_the_cpu(course, monkeypatch):
    (course.NOTEBOOKS / "solutions").mkdir()
    add(course, "01_a", "print(1)")
    add(course, "solutions/01_a", "import os\nprint(os.environ['SFT_DEVICE'])")
    monkeypatch.delenv("SFT_DEVICE", raising=False)
    run(course, monkeypatch, "outputs")
    solution = nbformat.read(course.NOTEBOOKS / "solutions" / "01_a.ipynb", 4)
    assert solution.cells[0].outputs[0].text == "cpu\n"


@pytest.mark.slow
def test_the_memory_of_a_process_is_counted_in_mib():
    """In a program of its own: kernels that other tests leave behind for a moment would be counted as well."""
    program = """import subprocess, sys
sys.path.insert(0, "tools")
import course
with course.PeakMemory() as peak:
    subprocess.run([sys.executable, "-c", "import time; x = bytearray(200 * 2**20); time.sleep(1)"], check=True)
print(peak.mib)"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 190 < float(done.stdout) < 400
