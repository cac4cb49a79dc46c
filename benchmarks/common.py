"""What the studies share: a record of finished runs, and where figures come from."""

import datetime
import json
import os
import platform
from pathlib import Path

from sft_helpers import environment
from sft_helpers.storage import digest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
RUNS = ROOT / "_build" / "runs"


def once(key, run):
    """Return what ``run()`` returned for this key, from disk if it was run before: a study can be interrupted.

    Parameters
    ----------
    key : list or dict
        Everything that the result depends on, JSON.
    run : callable
        Returns something that JSON can hold.
    """
    path = RUNS / f"{digest(key)[:24]}.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))["result"]
    result = run()
    RUNS.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({"key": key, "result": result}), encoding="utf-8")
    part.replace(path)
    return result


def machine():
    """Return the processor or GPU that a figure was measured on."""
    label = environment.device_label()
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] \
        if info.is_file() else [platform.processor() or platform.machine()]
    return f"{names[0]}, {len(names)} cores" if label.startswith("CPU") else label


def write(name, content):
    """Write results/NAME with today's date, the machine and the versions in front."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    versions = environment.versions()
    about = {"date": datetime.date.today().isoformat(), "machine": machine(), "versions": versions}
    path = RESULTS / name
    path.write_text(json.dumps({**about, **content}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: benchmarks/results/{name}")
