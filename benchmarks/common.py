"""What the studies share: a record of finished runs, and where figures come from."""

import datetime
import json
import os
import platform
import warnings
from pathlib import Path

import torch

from sft_helpers import environment, resources, training
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


def best_precision():
    """Return the number format that trains quickest here: 16 bits where the hardware has them, else fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if environment.device().type == "cpu" and training.cpu_has_bf16() else "fp32"


def sentence_transformer(max_length):
    """Return the embedded backbone as sentence-transformers has it, with mean pooling."""
    from sentence_transformers import SentenceTransformer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the modules have moved in newer versions
        from sentence_transformers.models import Pooling, Transformer
    body = Transformer(str(resources.find_backbone().folder), max_seq_length=max_length)
    return SentenceTransformer(modules=[body, Pooling(384, pooling_mode="mean")], device=environment.device().type)


def measured():
    """Return when, where and with what something is measured now."""
    return {"date": datetime.date.today().isoformat(), "machine": machine(), "versions": environment.versions()}


def read(name):
    """Return results/NAME, or an empty dict where it has not been made yet."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def keep(name, row, fields, order=None, **about):
    """Put a row, with its date and machine, into results/NAME, in the place of the one with the same fields."""
    rows = [old for old in read(name).get("rows", []) if any(old[field] != row[field] for field in fields)]
    rows.append({**row, **measured()})
    write(name, {**about, "rows": sorted(rows, key=order) if order else rows})


def write(name, content):
    """Write results/NAME with today's date, the machine and the versions in front."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    now = measured()
    written = json.dumps({**now, **content, **now}, indent=1, ensure_ascii=False) + "\n"  # in front, and of today
    (RESULTS / name).write_text(written, encoding="utf-8")
    print(f"written: benchmarks/results/{name}")
