"""Are the tolerances honest, and no wider than they must be? Every lesson on other processors.

    python -m benchmarks.processors [NOTEBOOK …]

Runs the notebooks as the tests do, with one thread, with two, and with the vector instructions limited to those of
an old processor. Writes benchmarks/results/tolerances.json: for each cell that is compared within a tolerance, or by
its figure, how much is allowed and how far its numbers moved; prints those that left it, and those never seen to move.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from . import common

ROOT = Path(__file__).resolve().parent.parent
PROFILES = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "SSE4.1 alone": {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
                     "OPENBLAS_CORETYPE": "Nehalem"},
}


def run(profile, notebooks):
    """Run the notebooks under one profile; return a row for each cell (``tests/nbval_report.py``)."""
    report = ROOT / "_build" / "nbval.json"
    report.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "pytest", "-q", *notebooks], cwd=ROOT,
                   env={**os.environ, **PROFILES[profile]})
    return json.loads(report.read_text(encoding="utf-8"))


def main():
    notebooks = sys.argv[1:] or ["notebooks"]
    found, failed = {}, []
    for profile in PROFILES:
        for row in run(profile, notebooks):
            key = row["notebook"], row["cell"]
            if row["failed"]:
                failed.append(f"{row['notebook']}, cell {row['cell']}, with {profile}")
            elif "moved" in row:
                cell = {"notebook": row["notebook"], "cell": row["cell"], "id": row["id"], "allowed": row["allowed"]}
                found.setdefault(key, {**cell, "moved": {}})["moved"][profile] = row["moved"]
    rows = [found[key] for key in sorted(found)]
    common.write("tolerances.json", {"rows": rows})
    still = [row for row in rows if "abs" in row["allowed"] or "rel" in row["allowed"]]
    still = [row for row in still if not any(row["moved"][profile][0] for profile in row["moved"])]
    print(f"{len(rows)} cells with a tolerance or a figure; text within a tolerance that never moved:")
    for row in still:
        print(f"  {row['notebook']}, cell {row['cell']}")
    if failed:
        sys.exit("left their tolerance: " + "; ".join(failed))


if __name__ == "__main__":
    main()
