"""Are the tolerances honest, and no wider than they must be? Every lesson on other processors.

    python -m benchmarks.processors [NOTEBOOK …]

Runs the notebooks as the tests do, with one thread, with two, and with the vector instructions limited to those of an
old processor; a run is kept as long as the notebook's code and outputs are the same, so that an interrupted call goes
on. Writes benchmarks/results/tolerances.json, which lists the notebooks it knows (those not run this time stay as long
as their code, their outputs and the rules of comparison are the same), and for each cell that is compared within a
tolerance, or by its figure, how much is allowed and how far its numbers moved; prints those that left it, and those
never seen to move.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from sft_helpers.storage import digest

from . import common

ROOT = Path(__file__).resolve().parent.parent
PROFILES = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "SSE4.1 alone": {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
                     "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Nehalem"},
}


def code(notebook):
    """Return a notebook's code cells with their outputs, as text: what a run depends on; its prose may be mended."""
    cells = json.loads((ROOT / notebook).read_text(encoding="utf-8"))["cells"]
    return json.dumps([cell for cell in cells if cell["cell_type"] == "code"])


def run(profile, notebook):
    """Run a notebook under one profile; return a row for each cell (``tests/nbval_report.py``)."""
    report = ROOT / "_build" / "nbval.json"
    report.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "--nbval-cell-timeout=1800", notebook], cwd=ROOT,
                   env={**os.environ, **PROFILES[profile]})
    return json.loads(report.read_text(encoding="utf-8"))


def main():
    notebooks = sys.argv[1:] or [str(path.relative_to(ROOT)) for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))
                                 if ".ipynb_checkpoints" not in path.parts]
    found, failed, known = {}, [], {}
    rules = (ROOT / "tests" / "nbval_compare.py").read_text(encoding="utf-8")
    for notebook in notebooks:
        text = code(notebook)
        known[notebook] = digest(text, rules)
        for profile, variables in PROFILES.items():
            for row in common.once(["processors", variables, text, rules], functools.partial(run, profile, notebook)):
                key = row["notebook"], row["cell"]
                if row["failed"]:
                    failed.append(f"{row['notebook']}, cell {row['cell']}, with {profile}")
                elif "moved" in row:
                    cell = {"notebook": row["notebook"], "cell": row["cell"], "id": row["id"],
                            "how": row["how"], "allowed": row["allowed"]}
                    found.setdefault(key, {**cell, "moved": {}})["moved"][profile] = row["moved"]
    known = {path: sha for path, sha in known.items() if not any(where.startswith(path) for where in failed)}
    before = common.read("tolerances.json") if (common.RESULTS / "tolerances.json").is_file() else {}
    for path, sha in before.get("notebooks", {}).items():
        if path not in notebooks and (ROOT / path).is_file() and digest(code(path), rules) == sha:
            known[path] = sha
            found.update({(row["notebook"], row["cell"]): row for row in before["rows"] if row["notebook"] == path})
    rows = [found[key] for key in sorted(found) if key[0] in known]
    common.write("tolerances.json", {"notebooks": dict(sorted(known.items())), "rows": rows})
    still = [row for row in rows if row["how"] == "within a tolerance"
             and not any(moved[0] for moved in row["moved"].values())]
    print(f"{len(rows)} cells with a tolerance or a figure; text within a tolerance that never moved:")
    for row in still:
        print(f"  {row['notebook']}, cell {row['cell']} ({row['id']})")
    if failed:
        sys.exit("left their tolerance: " + "; ".join(failed))


if __name__ == "__main__":
    main()
