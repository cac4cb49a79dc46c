"""nbval must be able to fail: a changed output, a moved number, a cleared output are shown to be noticed."""

import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import nbval.kernel
import nbval.plugin
import pytest
from nbclient import NotebookClient

import conftest
from tests import nbval_report
from tests.nbval_compare import settle

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder():
    path = ROOT / "_build" / "nbval_demo"  # below the root, so that the root's conftest.py applies
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    yield path
    shutil.rmtree(path)


def run(folder, source, stored, *options, **metadata):
    cell = nbformat.v4.new_code_cell(source, execution_count=1, metadata=metadata)
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored)]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "demo.ipynb")
    return pytest_on(folder, *options).returncode


def pytest_on(folder, *options):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder / "demo.ipynb")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(("printed", "stored", "metadata", "passes"), [
    ("accuracy 0.71", "accuracy 0.71\n", {}, True),
    ("accuracy 0.71", "accuracy 0.72\n", {}, False),
    ("accuracy 0.71", "accuracy 0.72\n", {"tolerance": {"abs": 0.02}}, True),
    ("accuracy 0.71", "accuracy 0.75\n", {"tolerance": {"abs": 0.02}}, False),
    ("accuracy 0.71", "precision 0.71\n", {"tolerance": {"abs": 0.02}}, False),
])
def test_a_changed_output_fails(folder, printed, stored, metadata, passes):
    assert (run(folder, f"print({printed!r})", stored, **metadata) == 0) is passes


FIGURE = """from sft_helpers import plots
figure, axis = plots.subplots()
axis.bar(["frozen", "tuned"], [70, {}])
axis.set(ylim=(0, 100), title="Tuning helps")
plots.show(figure, "two bars")"""


@pytest.mark.slow
@pytest.mark.parametrize(("height", "metadata", "passes"), [
    (80, {}, True), (83, {}, False), (83, {"tolerance": {"abs": 1, "figure": 40}}, True),
    (83, {"tolerance": {"abs": 5}}, False)])
def test_a_figure_that_draws_something_else_fails(folder, height, metadata, passes):
    cell = nbformat.v4.new_code_cell(FIGURE.format(80))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    NotebookClient(notebook, timeout=100).execute()
    assert "image/png" in cell.outputs[0].data
    cell.source, cell.metadata = FIGURE.format(height), metadata
    nbformat.write(notebook, folder / "demo.ipynb")
    assert (pytest_on(folder).returncode == 0) is passes


@pytest.mark.slow
def test_the_page_shows_what_differed(folder):
    (folder.parent / "nbval.html").unlink(missing_ok=True)
    assert run(folder, "print('accuracy 0.71')", "accuracy 0.72\n") != 0
    page = (folder.parent / "nbval.html").read_text(encoding="utf-8")
    assert "demo.ipynb, cell 0" in page and "1 cells failed" in page
    assert re.search(r"accuracy(&nbsp;| )0\.7<span class=\"diff_chg\">2</span>", page)


@pytest.mark.slow
def test_a_kernel_that_dies_fails_its_cell_and_the_page_is_written(folder):
    path = folder.parent / "nbval.html"
    path.unlink(missing_ok=True)
    dies = "import os\nos._exit(1)"
    assert run(folder, dies, "", "--nbval-cell-timeout=10") == 1  # 3 would be an error of pytest itself
    assert "1 cells failed" in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_kernels_and_their_children_have_no_network(folder):
    source = """import socket, subprocess, sys, urllib.request
ask = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
try:
    urllib.request.urlopen("http://example.org", timeout=1)
except OSError as error:
    print("cut" in str(error))
print("cut" in subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stderr)
for kind, speak in ((socket.SOCK_STREAM, "connect_ex"), (socket.SOCK_DGRAM, "sendto")):
    with socket.socket(socket.AF_INET, kind) as line:
        line.settimeout(1)
        try:
            said = getattr(line, speak)(*[b"who?"] * (speak == "sendto"), ("192.0.2.1", 80))
            print(speak, said == errno.ENETUNREACH)
        except OSError as error:
            print(speak, "cut" in str(error))"""
    assert run(folder, f"import errno\n{source}", "True\nTrue\nconnect_ex True\nsendto True\n") == 0


def test_kernels_are_told_what_they_need_to_give_the_stored_outputs():
    said = os.environ
    assert (said["TQDM_DISABLE"], said["SFT_LADDER"]) == ("1", os.devnull) and "SFT_STRICT" not in said
    assert not Path(said["SFT_LEDGER"]).exists() and said["SFT_DEVICE"]
    assert str(ROOT / "tests" / "offline") in said["PYTHONPATH"].split(os.pathsep)


@pytest.mark.parametrize(("cores", "gib", "workers"), [(2, 16, 2), (8, 9, 2), (4, 3, 1), (1, 64, 1)])
def test_lessons_run_side_by_side_where_there_is_memory_for_them(monkeypatch, cores, gib, workers):
    monkeypatch.setattr(conftest.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(conftest.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=gib * 2**30))
    assert conftest.pytest_xdist_auto_num_workers(None) == workers


@pytest.mark.parametrize("fresh", ["loss 0.51 of 10, x2", "loss  0.49 of  10, x2"])
def test_numbers_within_the_tolerance_are_settled(fresh):
    assert settle("loss 0.50 of 10, x2", fresh, absolute=0.02) == "loss 0.50 of 10, x2"


@pytest.mark.parametrize(("stored", "fresh"), [
    ("loss 0.50 of 10", "loss 0.53 of 10"), ("loss 0.50 of 10", "loss 0.50 of 11"), ("loss 0.50", "loss 0.5"),
    ("a 1.0 b", "a 1.0 b 2.0"), ("word2vec 1.0", "word4vec 1.0"), ("a # b", "a 7 b"), ("7 8", "# 8"),
    ("v1.10", "v1.11"), ("1,200", "1200.0"), ("one\ntwo", "one two"), ("loss 1.0", "loss 1e400"), ("x 1.0", "y 1.0"),
])
def test_everything_else_is_left_for_the_comparison_to_find(stored, fresh):
    assert settle(stored, fresh, absolute=4.5 if "0.50" not in stored else 0.02) == fresh


def test_whole_numbers_move_only_where_the_cell_says_so():
    assert settle("epoch 50", "epoch 52", absolute=3) == "epoch 52"
    assert settle("epoch 50", "epoch 52", absolute=3, integers=True) == "epoch 50"
    assert settle("epoch 50", "epoch 54", absolute=3, integers=True) == "epoch 54"


def test_a_claim_may_break_its_lines_elsewhere():
    assert settle("✓ of 9.9 % here\n  and there", "✓ of 10.1 %\n  here and there", absolute=1).startswith("✓ of 9.9")


@pytest.mark.parametrize("deaths", [0, 1, 2, 3])
def test_a_kernel_that_dies_at_its_start_gets_three_tries(deaths, monkeypatch):
    starts = []

    def start(**settings):
        starts.append(settings)
        if len(starts) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return "manager", "client"

    monkeypatch.setattr(nbval.kernel, "start_new_kernel", start)
    monkeypatch.setattr(nbval.kernel.RunningKernel, "_ensure_iopub_up", lambda self: None)
    if deaths < 3:
        assert nbval.plugin.RunningKernel("python3").km == "manager"
    else:
        with pytest.raises(RuntimeError, match="died"):
            nbval.plugin.RunningKernel("python3")
    assert len(starts) == min(deaths + 1, 3)


def test_a_kernel_that_never_answers_is_not_started_again(monkeypatch):
    def start(**settings):
        starts.append(settings)
        raise RuntimeError("Kernel didn't respond in 60 seconds")

    starts = []
    monkeypatch.setattr(nbval.kernel, "start_new_kernel", start)
    with pytest.raises(RuntimeError, match="respond"):
        nbval.plugin.RunningKernel("python3")
    assert len(starts) == 1


def test_how_a_cell_is_compared_is_told_by_its_tags_and_outputs():
    figure = nbformat.v4.new_output("display_data", {"image/png": "AAAA"})
    words = nbformat.v4.new_output("stream", text="words")
    for outputs, metadata, how in (([], {}, None), ([figure], {"tolerance": {"figure": 9}}, "figure"),
                                   ([figure, words], {}, "exactly"), ([words], {"tolerance": {}}, "within a tolerance"),
                                   ([words], {"tags": ["nbval-skip"]}, "not"),
                                   ([words], {"tags": ["claim"]}, "exactly"),
                                   ([figure], {"tags": ["nbval-ignore-output"]}, "not")):
        assert nbval_report.how(nbformat.v4.new_code_cell("1", outputs=outputs, metadata=metadata)) == how
    rows = [{"how": how, "failed": how == "not"} for how in ("exactly", "exactly", "exactly", "not", None)]
    said = nbval_report.shares(rows)
    assert said.startswith("of 4 cells that show something 3 (75.0 %) compared exactly") and "; 1 cells failed" in said
    assert "1 (25.0 %) compared not at all" in said


def test_the_page_counts_failures_and_shows_what_was_stored_first(tmp_path):
    def shown(text):
        return [{"text": text, "drawn": [], "png": ""}]
    row = {"notebook": "a", "cell": 0, "how": "exactly", "failed": True, "source": "<b>", "why": "<i>",
           "stored": shown("aaa\n"), "fresh": shown("zzz\n")}
    rows = [row, {**row, "failed": False}, {**row, "notebook": "b", "failed": False}]
    page = nbval_report.write(rows, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>" not in page and "<i>" not in page and "&lt;b&gt;" in page and "&lt;i&gt;" in page
    assert page.index(">stored<") < page.index(">fresh<") and page.index("aaa") < page.index("zzz")
    for notebook, counts in (("a", (2, 0, 0, 0, 1)), ("b", (1, 0, 0, 0, 0))):
        assert f"<td>{notebook}</td>" + "".join(f'<td class="number">{count}</td>' for count in counts) in page
