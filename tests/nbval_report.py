"""What nbval found, for people: how each cell was compared, and what differed, side by side."""

import difflib
import html
import json
from collections import Counter

from tests.nbval_compare import FIGURE, figure_lines, moved

KINDS = ("exactly", "within a tolerance", "figure", "not")  # how a cell that shows something is compared

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>nbval</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse }} td, th {{ padding: .1rem .6rem; text-align: left; vertical-align: top }}
td.number {{ text-align: right }}
pre, .diff {{ font: 13px/1.4 ui-monospace, monospace }} .diff td {{ padding: 0 .3rem }}
pre {{ background: #f4f4f4; padding: .6rem; overflow-x: auto }} img {{ max-width: 48%; border: 1px solid #ccc }}
.diff_add {{ background: #cfe8d5 }} .diff_chg {{ background: #fdf0c0 }} .diff_sub {{ background: #f6cfcf }}
</style><h1>What nbval compared</h1><p>{shares}</p>{table}{failures}</html>"""


def how(cell):
    """Return how the outputs of a code cell are compared, one of ``KINDS``; None if it shows nothing."""
    if not cell.outputs:
        return None
    if {"nbval-ignore-output", "nbval-skip"} & set(cell.metadata.get("tags", [])):
        return "not"
    if all("image/png" in output.get("data", {}) for output in cell.outputs):
        return "figure"
    return "within a tolerance" if "tolerance" in cell.metadata else "exactly"


def shares(rows):
    """Return one sentence: how many cells were compared in which way, and how many failed."""
    counts = Counter(row["how"] for row in rows if row["how"])
    said = {"exactly": "exactly", "within a tolerance": "within a tolerance", "figure": "as figures alone",
            "not": "not at all"}
    total = sum(counts.values()) or 1
    return (f"of {sum(counts.values())} cells that show something "
            + ", ".join(f"{counts[kind]} ({100 * counts[kind] / total:.1f} %) compared {said[kind]}" for kind in KINDS)
            + f"; {sum(row['failed'] for row in rows)} cells failed")


def row(item, report):
    """Return what the page needs of one cell, in plain types (another process may send it)."""
    kept = {"notebook": str(item.path.relative_to(item.config.rootpath)), "cell": item.cell_num,
            "id": item.cell.get("id"), "how": how(item.cell),
            "failed": report.failed}
    fresh = getattr(item, "test_outputs", None) or []  # None where the kernel died
    if kept["how"] in ("within a tolerance", "figure") and not report.failed:
        kept["moved"] = moved(item.cell.outputs, fresh)
        kept["allowed"] = {"figure": FIGURE, **item.cell.metadata.get("tolerance", {})}
    if report.failed:
        kept |= {"source": item.cell.source, "why": report.longreprtext, "stored": _plain(item.cell.outputs),
                 "fresh": _plain(fresh)}
    return kept


def _plain(outputs):
    return [{"text": output.get("text") or output.get("data", {}).get("text/plain") or
             "\n".join(output.get("traceback", [])), "drawn": figure_lines(output),
             "png": output.get("data", {}).get("image/png", "")} for output in outputs]


def write(rows, path):
    """Write the page, and the same as JSON beside it; return the page's path.

    Parameters
    ----------
    rows : list of dict
        From ``row``.
    path : Path
    """
    notebooks = list(dict.fromkeys(row["notebook"] for row in rows))
    counts = Counter((row["notebook"], row["how"]) for row in rows)
    failed = Counter(row["notebook"] for row in rows if row["failed"])
    table = ""
    for name in notebooks:
        numbers = [*(counts[name, kind] for kind in KINDS), failed[name]]
        cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
        table += f"<tr><td>{html.escape(name)}</td>{cells}</tr>"
    heads = "".join(f"<th>{word}</th>" for word in ("notebook", *KINDS, "failed"))
    path.parent.mkdir(exist_ok=True)
    path.write_text(PAGE.format(shares=shares(rows), table=f"<table><tr>{heads}</tr>{table}</table>",
                                failures="".join(_failure(row) for row in rows if row["failed"])), encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return path


def _failure(row):
    stored, fresh = ("\n".join(output["text"] for output in row[side]).splitlines() for side in ("stored", "fresh"))
    parts = [f"<h2>{html.escape(row['notebook'])}, cell {row['cell']}</h2><pre>{html.escape(row['source'])}</pre>"]
    compare = difflib.HtmlDiff(wrapcolumn=70).make_table
    parts.append(compare(stored, fresh, "stored", "fresh"))
    for was, now in zip(row["stored"], row["fresh"], strict=False):
        if was["png"] or now["png"]:
            parts += [f'<p><img alt="" src="data:image/png;base64,{side["png"]}">' for side in (was, now)]
            parts.append(compare(was["drawn"], now["drawn"], "stored figure", "fresh figure", context=True, numlines=2))
    parts.append(f"<details><summary>as nbval says it</summary><pre>{html.escape(row['why'])}</pre></details>")
    return "".join(parts)
