"""The lessons on other processors: what is limited there, and that a lesson that leaves its tolerances is said."""

import json

import pytest

from benchmarks import common, processors


def test_the_profiles_differ_in_threads_and_vector_instructions():
    assert processors.PROFILES["1 thread"] == {"OMP_NUM_THREADS": "1"}
    assert processors.PROFILES["2 threads"] == {"OMP_NUM_THREADS": "2"}
    plain = processors.PROFILES["SSE4.1 alone"]
    assert plain["ATEN_CPU_CAPABILITY"] == "default" and plain["ONEDNN_MAX_CPU_ISA"] == "SSE41"
    assert plain["OPENBLAS_CORETYPE"] == "Nehalem"  # torch, its products, and NumPy's


@pytest.mark.parametrize("failed", [False, True])
def test_a_cell_that_left_its_tolerance_ends_it_and_its_lesson_is_not_listed(monkeypatch, failed, capsys):
    name, written = "notebooks/00_start_here.ipynb", []
    row = {"notebook": name, "cell": 3, "id": "abc", "how": "within a tolerance", "allowed": {"abs": 1},
           "failed": failed, "moved": [0.0, 0.0]}
    monkeypatch.setattr(processors.common, "once", lambda _key, _run: [row])
    monkeypatch.setattr(processors.common, "write", lambda _name, content: written.append(content))
    monkeypatch.setattr(processors.sys, "argv", ["processors", name])
    if failed:
        with pytest.raises(SystemExit, match=f"left their tolerance: {name}, cell 3, with 1 thread"):
            processors.main()
    else:
        processors.main()
        assert "never moved" in capsys.readouterr().out
    assert (name in written[0]["notebooks"]) is not failed
    assert any(kept["notebook"] == name for kept in written[0]["rows"]) is not failed


def test_a_tolerance_is_the_one_that_other_processors_were_held_to():
    """Widened later, it would hide what nobody has looked at."""
    measured = {(row["notebook"], row["id"]): row["allowed"] for row in common.read("tolerances.json")["rows"]}
    declared = 0
    for path in sorted((processors.ROOT / "notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        name = path.relative_to(processors.ROOT).as_posix()
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            allowed = cell["metadata"].get("tolerance", {})
            declared += bool(allowed)
            for kind in ("abs", "rel", "figure", "integers"):
                if kind in allowed:
                    assert allowed[kind] == measured[name, cell["id"]].get(kind), (name, cell["id"], kind)
    assert declared > 100
