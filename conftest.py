"""How the course is tested: no network, no progress bars, notebooks compared as ``tests/nbval_compare.py`` says."""

import gc
import os
import tempfile
import types
from pathlib import Path

import nbval.plugin
import psutil
import pytest

from tests import kernels, nbval_compare, nbval_report

# Kernels inherit these: no network but this machine's own; no progress bars in outputs; a reader's own predictions stay
# out of the comparison; a GPU is left alone.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).parent / "tests" / "offline"), os.environ.get("PYTHONPATH"))))
os.environ["TQDM_DISABLE"] = "1"
os.environ.setdefault("SFT_DEVICE", "cpu")  # where the stored outputs come from, and where claims bind
os.environ["SFT_LEDGER"] = os.path.join(tempfile.gettempdir(), "no_predictions.json")
os.environ["SFT_LADDER"] = os.devnull  # rungs measured elsewhere come from the study, whatever ran before
os.environ.pop("SFT_STRICT", None)


if "PYTEST_XDIST_WORKER" in os.environ:  # side by side, each with its share of the cores
    share = os.cpu_count() // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, share)))


def pytest_xdist_auto_num_workers(config):
    """As many lessons side by side as there are cores and memory for: a lesson takes up to 4 GiB."""
    return max(1, min(os.cpu_count(), psutil.virtual_memory().available // 2**32))


nbval.plugin.RunningKernel = kernels.patient(nbval.plugin.RunningKernel)


def _compare(self, test, ref, skip_compare=None):
    stored, fresh = nbval_compare.settled(nbval.plugin.coalesce_streams(ref), nbval.plugin.coalesce_streams(test),
                                          self.cell.metadata.get("tolerance", {}))
    return type(self).compare_outputs(self, fresh, stored, skip_compare)


def pytest_collection_modifyitems(items):
    for item in items:
        if isinstance(item, nbval.plugin.IPyNbCell):
            item.compare_outputs = types.MethodType(_compare, item)


def pytest_collection_finish():
    """What has been imported stays: each training run collects garbage first, and need not look through all of it."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, nbval.plugin.IPyNbCell) and call.when == "call":
        report.nbval = nbval_report.row(item, report)
    return report


def pytest_terminal_summary(terminalreporter):
    reports = [report for found in terminalreporter.stats.values() for report in found]
    rows = [report.nbval for report in reports if hasattr(report, "nbval")]
    if rows:
        path = nbval_report.write(rows, Path(__file__).parent / "_build" / "nbval.html")
        terminalreporter.write_line(f"nbval: {nbval_report.shares(rows)}; {path.relative_to(Path.cwd())}"
                                    if path.is_relative_to(Path.cwd()) else f"nbval: {nbval_report.shares(rows)}")
