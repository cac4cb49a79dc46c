"""The notebooks as files: run in order, clean, readable, and built as the course promises."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
TAGS = {"parameters", "setup", "claim", "exercise", "predict", "hide-input", "remove-cell", "gpu",
        "nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}

each_notebook = pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
each_lesson_from_01 = pytest.mark.parametrize("path", LESSONS[1:], ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def texts(cell):
    for output in cell.outputs:
        yield output.get("text", "")
        data = output.get("data", {})
        yield from (data[kind] for kind in ("text/plain", "text/html", "text/markdown") if kind in data)


def tagged(path, tag):
    return [cell for cell in read(path).cells if tag in cell.metadata.get("tags", [])]


def test_there_are_lessons_to_test():
    assert [path.stem[:2] for path in LESSONS[:5]] == ["00", "01", "02", "03", "04"]


@each_notebook
def test_stored_outputs_come_from_one_run_from_top_to_bottom(path):
    nbformat.validate(read(path))
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_every_code_cell_that_shows_something_kept_its_output(path):
    """nbval passes a notebook without outputs; a print or a figure without one would be such a hole."""
    speaking = re.compile(r"^(print|claim|plots\.show|exercises\.(check|progress)|predict)\(", re.M)
    for cell in code_cells(path):
        if speaking.search(cell.source):
            assert cell.outputs, f"no output stored for: {cell.source[:80]}"


@each_notebook
def test_outputs_are_clean(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source[:80]
            assert output.get("name") != "stderr", f"{cell.source[:80]}: {output.get('text')}"
        for text in texts(cell):
            assert not re.search(r"(?<![\w.])/(root|home|tmp|usr|work|Users|content)/|[A-Z]:\\\\", text), text
            assert "Warning" not in text, text
            assert not re.search(r"\d+%\|", text), f"the remains of a progress bar: {text}"
            assert " at 0x" not in text, text


@each_notebook
def test_metadata_is_tidy(path):
    notebook = read(path)
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "course", "accelerator", "colab"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 1_000_000
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        assert tags <= TAGS, tags - TAGS
        assert set(cell.metadata) <= {"tags", "tolerance", "why_not_compared"}, dict(cell.metadata)
        assert ("nbval-ignore-output" in tags) == bool(cell.metadata.get("why_not_compared"))
        if "tolerance" in cell.metadata:
            assert cell.metadata["tolerance"].get("why")
            assert {"abs", "rel"} & set(cell.metadata["tolerance"])


@each_notebook
def test_few_cells_are_left_uncompared(path):
    cells = code_cells(path)
    left_out = [cell for cell in cells if "nbval-ignore-output" in cell.metadata.get("tags", [])]
    assert len(left_out) <= max(1, 0.1 * len(cells))


@each_notebook
def test_pictures_have_alt_text(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 30


@each_notebook
def test_code_fits_on_a_page(path):
    for cell in code_cells(path):
        for line in cell.source.splitlines():
            assert len(line) <= 100, f"{len(line)} characters: {line}"
        assert len(cell.source.splitlines()) <= 25, cell.source[:80]


@each_lesson
def test_badge_opens_this_very_notebook(path):
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    repository = re.search(r'Repository = "https://github.com/([^"]+)"', project).group(1)
    first = read(path).cells[0].source
    assert f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{path.name})" in first
    assert "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]" in first
    assert f"https://github.com/{repository}.git" in tagged(path, "setup")[0].source


@each_lesson
def test_a_lesson_has_its_parts(path):
    notebook = read(path)
    assert notebook.cells[0].source.startswith(f"# {path.stem[:2]} · ")
    assert notebook.metadata.course["lesson"] == path.stem[:2]
    assert f"About {notebook.metadata.course['minutes']} minutes" in notebook.cells[0].source
    assert len(tagged(path, "parameters")) == 1
    assert len(tagged(path, "setup")) == 2
    everything = "\n".join(cell.source for cell in notebook.cells)
    assert "## References" in everything
    assert "**Next:**" in everything


@each_lesson_from_01
def test_claims_print_their_sentence(path):
    claims = tagged(path, "claim")
    assert len(claims) >= 3
    for cell in claims:
        said = "".join(texts(cell))
        assert said.startswith("✓ "), cell.source
        assert "claim(" in cell.source
    assert all("claim(" not in cell.source or cell in claims for cell in code_cells(path))


@each_lesson
def test_predictions_are_left_open_and_keys_belong_to_the_lesson(path):
    keys = [key for cell in tagged(path, "predict") for key in re.findall(r'predict\("([\d.]+)", None\)', cell.source)]
    assert len(keys) == len(tagged(path, "predict")) >= 1
    assert all(key.startswith(path.stem[:2] + ".") for key in keys)
    asked = set(re.findall(r'outcome\("([\d.]+)"', "\n".join(cell.source for cell in code_cells(path))))
    assert asked == set(keys)


@each_lesson_from_01
def test_exercises_run_unsolved(path):
    exercises = tagged(path, "exercise")
    assert len(exercises) >= 3
    for cell in exercises:
        assert "not tried yet" in "".join(texts(cell))


@each_lesson
def test_every_lesson_with_exercises_has_a_solution(path):
    if tagged(path, "exercise"):
        solution = ROOT / "notebooks" / "solutions" / path.name
        assert solution.is_file()
        wanted = set(re.findall(r'exercises\.check\("([\d.]+)"', "\n".join(c.source for c in tagged(path, "exercise"))))
        said = "\n".join(text for cell in code_cells(solution) for text in texts(cell))
        assert wanted == set(re.findall(r"Exercise ([\d.]+): solved ✓", said))


@each_notebook
def test_links_to_files_of_the_course_lead_somewhere(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", cell.source):
                assert (path.parent / target).exists(), target


@each_notebook
def test_no_markdown_dialect_that_only_one_tool_understands(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"^(:::|```\{)", cell.source, re.M)


def test_tools_tidy_leaves_no_traces_of_a_run():
    spec = importlib.util.spec_from_file_location("course", ROOT / "tools" / "course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    cell = nbformat.v4.new_code_cell("1", metadata={"execution": {"a": "1"}, "papermill": {}, "tags": ["claim"]})
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {}, "course": {"lesson": "01"}})
    course.tidy(notebook)
    assert dict(notebook.cells[0].metadata) == {"tags": ["claim"]}
    assert "widgets" not in notebook.metadata and notebook.metadata.course["lesson"] == "01"


def test_the_lesson_that_fine_tunes_all_of_bert_asks_colab_for_a_gpu():
    metadata = read(ROOT / "notebooks" / "08_full_fine_tuning.ipynb").metadata
    assert metadata.accelerator == "GPU" and metadata.colab == {"gpuType": "T4", "provenance": []}


def test_the_glossary_names_lessons_that_use_the_word():
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in glossary.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 50 and len({row[0] for row in rows}) == len(rows)
    lessons = {path.stem[:2]: "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
               for path in LESSONS}
    assert [row[3] for row in rows] == sorted(row[3] for row in rows)  # in the order of the lessons
    for english, chinese, line, lesson in rows:
        assert re.search(r"[\u4e00-\u9fff]", chinese) and line, english
        for word in english.split():
            assert re.search(rf"\b{re.escape(word)}", lessons[lesson], re.I), f"{english}: not in lesson {lesson}"


@each_lesson
def test_the_glossary_is_one_click_away(path):
    assert "(../docs/glossary.md)" in read(path).cells[0].source


def references(path):
    """The works that a lesson cites: (year, title without marks and case, its arXiv number if it has one)."""
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    cited = re.findall(r"^- .+? \((\d{4})\)\. (.+)$", text.partition("## References")[2], re.M)
    return {(year, plain_title(rest)): re.search(r"abs/(\d{4}\.\d{5})", rest) for year, rest in cited}


def plain_title(text):
    return re.sub(r"\W+", " ", re.split(r"(?<=[.?!])\s", text.replace("*", ""))[0].split(" (")[0].lower()).strip()


def test_the_bibliography_holds_what_the_lessons_cite_and_nothing_else():
    listed = {}
    for line in (ROOT / "docs" / "bibliography.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("- "):
            year, rest, lessons = re.fullmatch(r"- .+? \((\d{4})\)\. (.+) \(lessons? ([\d, ]+)\)", line).groups()
            listed[year, plain_title(rest)] = rest, lessons.split(", ")
    cited = {}
    for path in LESSONS:
        found = references(path)
        assert found, path.name
        for work, number in found.items():
            cited.setdefault(work, []).append(path.stem[:2])
            assert work in listed, f"{path.name} cites {work}, which docs/bibliography.md lacks"
            assert number is None or number.group(1) in listed[work][0], work
    assert {work: lessons for work, (_rest, lessons) in listed.items()} == cited
