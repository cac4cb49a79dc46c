"""The notebooks as files: run in order, clean, readable, and built as the course promises.

A rule takes a notebook and yields what breaks it. Each rule is held against each notebook, and against a tiny one into
which a fault was planted: a rule that finds nothing there would find nothing anywhere.
"""

import ast
import importlib.util
import io
import json
import re
import shutil
import string
import subprocess
import sys
import tokenize
from collections import Counter
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.validator import iter_validate

from tests import nbval_compare, nbval_report

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "data").glob("*.md"))]
MODULES = sorted(path for folder in ("sft_helpers", "tests", "tools", "benchmarks")
                 for path in ROOT.glob(f"{folder}/**/*.py"))

TAGS = {"parameters", "setup", "claim", "exercise", "predict", "hide-input", "remove-cell", "gpu",
        "nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(root|home|tmp|usr|opt|var|work|mnt|media|private|Volumes|kaggle|Users|"
                          r"content)/|\b[A-Z]:[\\/]|\bfile:///")
SECRET = re.compile(r"\b(hf_[A-Za-z0-9]{30,}|sk-[\w-]{20,}|gh[pousr]_\w{30,}|AKIA[0-9A-Z]{16})|PRIVATE KEY-----")
NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")
NUMERIC_FORMAT = re.compile(r"[+,%\d.]*[dfeg%,]")
# "optimizer" and "tokenizer" are the field's names for two things and stay; what they do is spelt as the rest
AMERICAN = re.compile(r"""\b(
    (colo|behavio|neighbo|favo|flavo|hono|labo|humo|rumo|harbo)r(s|ed|ing|hoods?|ite|al|able)? | grays? |
    (cent|fib|theat)er(s|ed)? | (label|model|cancel|travel|signal|level|total|tunnel)(ed|ing) |
    (organ|real|summar|normal|standard|regular|initial|general|recogn|minim|maxim|token|vector|random|memor|emphas|
     optim|categor|character|visual|stabil|destabil|penal|special|final|util|quant|serial|personal|local|capital|
     central|apolog|critic|custom|priorit|synchron|symbol|equal|parallel|modern|formal|author)
    i(ze[sd]?|zing|zations?) | (anal|paral|catal)yz(e[sd]?|ing) |
    judgment | gotten | toward | defense | catalog | fulfill(s|ment)? | skillful
    )\b""", re.VERBOSE | re.IGNORECASE)


class Page:
    """A notebook as the rules see it, at its place in a course whose root may be another folder than this one."""

    def __init__(self, path):
        self.path = path
        self.is_lesson = path.parent.name == "notebooks"
        self.number = path.stem[:2]
        self.root = path.parents[1 if self.is_lesson else 2]
        self.stored = json.loads(path.read_text(encoding="utf-8"))  # as it is, before nbformat mends anything
        self.notebook = nbformat.read(path, as_version=4)
        self.cells = self.notebook.cells
        self.code = [cell for cell in self.cells if cell.cell_type == "code"]
        self.markdown = [cell for cell in self.cells if cell.cell_type == "markdown"]

    def tagged(self, tag):
        return [cell for cell in self.cells if tag in cell.metadata.get("tags", [])]

    @cached_property
    def headings(self):
        """(level, text), in order."""
        return [(len(marks), text.strip()) for cell in self.markdown
                for marks, text in re.findall(r"^(#+) (.+)$", without_listings(cell.source), re.M)]

    @cached_property
    def sections(self):
        """(prose, code cells) from one heading of the second level to the next."""
        found = [("", [])]
        for cell in self.cells:
            if cell.cell_type == "code":
                found[-1][1].append(cell)
                continue
            before, *begun = re.split(r"^(?=## )", without_code(cell.source), flags=re.M)
            found[-1] = f"{found[-1][0]}\n\n{before}", found[-1][1]
            found += [(prose, []) for prose in begun]
        return found

    @cached_property
    def summary(self):
        """The prose under "What we found"."""
        text = "\n\n".join(cell.source for cell in self.markdown)
        found = re.search(r"^## \d+ · What we found$(.*?)(?=^## |\Z)", text, re.M | re.S)
        return found.group(1) if found else ""


def without_listings(markdown):
    return re.sub(r"```.*?```", " ", markdown, flags=re.S)


def without_code(markdown):
    """Markdown without what is not prose: code, formulas, the targets of links, the works cited."""
    prose = without_listings(markdown).partition("## References")[0]
    return re.sub(r"`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|(?<=\])\([^)]*\)", " ", prose, flags=re.S)


def texts(cell):
    """What a code cell shows, without pictures."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield from (shown for kind, shown in output.get("data", {}).items()
                    if kind.startswith("text/") and isinstance(shown, str))


def said(cell):
    return " ".join("".join(texts(cell)).split())


def first_line(cell):
    return f"[{cell.get('id')}] {cell.source.strip().splitlines()[0][:80] if cell.source.strip() else '(empty)'}"


# The rules

RULES = {}


def rule(lessons_from=None):
    """Register a rule for all notebooks, or for the lessons from a number on and no solutions."""
    def register(check):
        def applies(page):
            return lessons_from is None or (page.is_lesson and page.number >= lessons_from)
        RULES[check.__name__] = lambda page: list(check(page)) if applies(page) else []
        return check
    return register


@rule()
def the_file_is_nbformat_4_5_and_each_cell_has_an_id_of_its_own(page):
    if (page.stored["nbformat"], page.stored["nbformat_minor"]) != (4, 5):
        yield f"nbformat {page.stored['nbformat']}.{page.stored['nbformat_minor']}"
    ids = [cell.get("id") for cell in page.stored["cells"]]
    yield from (f"cell {at} has no id" for at, name in enumerate(ids) if not name)
    yield from (f"two cells are called {name}" for name in set(ids) if ids.count(name) > 1)
    yield from (str(error).splitlines()[0] for error in iter_validate(page.stored))


@rule()
def stored_outputs_come_from_one_run_from_top_to_bottom(page):
    counts = [cell.execution_count for cell in page.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts {counts}"


@rule()
def a_code_cell_that_shows_something_kept_its_output(page):
    """nbval passes a notebook without outputs; a print or a figure without one would be such a hole."""
    for cell in page.code:
        calls = calls_that_are_made(cell.source)
        pictures = sum("image/png" in output.get("data", {}) for output in cell.outputs)
        if calls & SPEAKING and not (said(cell) or pictures) or pictures < (calls & Counter(["plots.show"])).total():
            yield first_line(cell)


SPEAKING = Counter(["print", "claim", "plots.show", "exercises.check", "exercises.progress", "predict"])


def calls_that_are_made(source):
    """Count the calls that are statements of their own, in loops and blocks as well, not in functions or conditions."""
    found, statements = Counter(), ast.parse(without_shell(source)).body
    while statements:
        statement = statements.pop()
        if isinstance(statement, ast.For | ast.While | ast.With | ast.Try):
            statements += statement.body
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            found[ast.unparse(statement.value.func)] += 1
    return found


@rule()
def outputs_are_clean(page):
    traces = {"a path of this machine": MACHINE_PATH, "a warning": re.compile("Warning"),
              "the remains of a progress bar": re.compile(r"\d+%\|"), "an address in memory": re.compile(" at 0x"),
              "an error": re.compile(r"Traceback \(most|^ERROR:", re.M)}
    for cell in page.code:
        for output in cell.outputs:
            if output.get("execution_count", cell.execution_count) != cell.execution_count:
                yield f"{first_line(cell)} shows what another run counted"
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"{first_line(cell)} ends in an error or writes to stderr"
        for name, trace in traces.items():
            if any(trace.search(text) for text in texts(cell)):
                yield f"{first_line(cell)} shows {name}"


@rule()
def sources_name_no_path_of_a_machine(page):
    for cell in page.cells:
        if "setup" not in cell.metadata.get("tags", []) and MACHINE_PATH.search(cell.source):
            yield first_line(cell)


@rule()
def no_secret_is_written_down(page):
    yield from (first_line(cell) for cell in page.cells
                if any(map(SECRET.search, [cell.source, *(texts(cell) if cell.cell_type == "code" else ())])))


@rule()
def no_error_is_passed_over_in_silence(page):
    for cell in page.code:
        handlers = [node for node in ast.walk(ast.parse(without_shell(cell.source)))
                    if isinstance(node, ast.ExceptHandler)]
        silent = [all(isinstance(part, ast.Pass | ast.Continue) for part in node.body) for node in handlers]
        if any(silent) or re.search(r"^%%capture|\|\| true$|\bsuppress\(", cell.source, re.M):
            yield first_line(cell)


@rule()
def metadata_is_tidy(page):
    notebook = page.notebook
    yield from set(notebook.metadata) - {"kernelspec", "language_info", "course", "accelerator", "colab"}
    if notebook.metadata.kernelspec.name != "python3":
        yield f"kernel {notebook.metadata.kernelspec.name}"
    if page.path.stat().st_size >= 1_000_000:
        yield "a megabyte or more"
    course = notebook.metadata.get("course", {})
    if course.get("lesson") != page.number or page.headings[0][1] != f"{page.number} · {course.get('title')}":
        yield "metadata's lesson and title are not those of the heading"
    for cell in page.cells:
        yield from (f"{first_line(cell)}: {key}"
                    for key in set(cell.metadata) - {"tags", "tolerance", "why_not_compared"})
        if "tolerance" in cell.metadata:
            tolerance = cell.metadata["tolerance"]
            if not tolerance.get("why") or not {"abs", "rel", "figure"} & set(tolerance):
                yield f"{first_line(cell)}: a tolerance says how much and why"


@rule()
def a_tolerance_is_smaller_than_what_it_is_about(page):
    """One as large as the largest number that the cell shows would let pass nearly everything."""
    for cell in page.code:
        tolerance, numbers = cell.metadata.get("tolerance", {}), [0.0]
        for output in cell.outputs:
            shown = output.get("text") or output.get("data", {}).get("text/plain", "")
            lines = [line for line in nbval_compare.figure_lines(output) if not line.startswith(("at ", "limits "))]
            numbers += [abs(float(number.replace(",", "")))
                        for number in nbval_compare.NUMBER.findall("\n".join([shown, *lines]))]
        if ("abs" in tolerance and tolerance["abs"] >= max(numbers) or tolerance.get("rel", 0) >= 1
                or tolerance.get("figure", 0) > 150):
            yield first_line(cell)


@rule()
def tags_are_known_and_what_is_not_compared_says_why(page):
    for cell in page.cells:
        tags = cell.metadata.get("tags", [])
        yield from (f"{first_line(cell)}: {tag}" for tag in tags if tag not in TAGS or tags.count(tag) > 1)
        if any(tag.startswith("nbval-") for tag in tags) != bool(cell.metadata.get("why_not_compared")):
            yield f"{first_line(cell)}: nbval's tags and why_not_compared go together"


@rule()
def few_cells_are_left_uncompared(page):
    left_out = [cell for cell in page.code if any(tag.startswith("nbval-") for tag in cell.metadata.get("tags", []))]
    if len(left_out) > max(1, 0.1 * len(page.code)):
        yield f"{len(left_out)} of {len(page.code)}"


@rule()
def pictures_have_alt_text(page):
    for cell in page.code:
        for output in cell.outputs:
            for kind in output.get("data", {}):
                if kind.startswith("image/") and len(output.metadata.get(kind, {}).get("alt", "").strip()) <= 30:
                    yield first_line(cell)
    for cell in page.markdown:
        yield from (f"{first_line(cell)}: {target}" for alt, target in re.findall(r"!\[(.*?)\]\((.+?)\)", cell.source)
                    if len(alt) <= 30 and not target.endswith("/colab-badge.svg"))
        yield from (f"{first_line(cell)}: {tag}" for tag in re.findall(r"<img\b[^>]*>", cell.source)
                    if not re.search(r"\balt=(['\"])[^'\"]{30,}\1", tag))


@rule()
def code_fits_on_a_page(page):
    for cell in page.code:
        lines = cell.source.splitlines()
        yield from (f"{first_line(cell)}: {len(line)} characters: {line}" for line in lines if len(line) > 100)
        if len(lines) > 25:
            yield f"{first_line(cell)}: {len(lines)} lines"


@rule()
def headings_step_down_one_level_at_a_time_and_are_numbered_in_order(page):
    levels = [level for level, _text in page.headings]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield "one heading of level 1, and it comes first"
    yield from (f"{text} skips a level" for (before, _text), (level, text) in pairwise(page.headings)
                if level > before + 1)
    names = [text for _level, text in page.headings]
    yield from (f"two headings say {name}" for name in set(names) if names.count(name) > 1)
    sections = [text for level, text in page.headings if level == 2]
    numbers = [int(found.group(1)) if (found := re.match(r"(\d+) · ", text)) else None for text in sections]
    numbered = [number for number in numbers if number is not None]
    if numbers != list(range(1, len(numbered) + 1)) + [None] * (len(numbers) - len(numbered)):
        yield f"sections are numbered {numbers}"


@rule(lessons_from="00")
def the_first_cell_says_what_and_how_long(page):
    first, course = page.cells[0].source, page.notebook.metadata.get("course", {})
    if not first.startswith(f"# {page.number} · "):
        yield "the title begins with the lesson's number"
    objectives = re.search(r"you (?:can|will|will be able to)\n\n((?:- .+\n)+)", first)
    if not objectives or not 3 <= objectives.group(1).count("\n") <= 5:
        yield "what the reader can do afterwards: three to five lines"
    minutes = re.search(r"^\*\*About (\d+) minutes\.\*\* Needs ", first, re.M)
    if not minutes or int(minutes.group(1)) != course.get("minutes") or not 20 <= course["minutes"] <= 45:
        yield "the minutes, 20 to 45, and what the lesson needs"
    row = f"| {page.number} | [{course.get('title')}](notebooks/{page.path.name}) |"
    readme = (page.root / "README.md").read_text(encoding="utf-8")
    table = [line for line in readme.splitlines() if line.startswith(row)]
    if len(table) != 1 or not table[0].endswith(f"| {course.get('minutes')} |"):
        yield "README's table has the same title, file and minutes"
    if "(../docs/glossary.md)" not in first:
        yield "the glossary is one click away"


@rule(lessons_from="00")
def the_badge_opens_this_very_notebook(page):
    project = (page.root / "pyproject.toml").read_text(encoding="utf-8")
    repository = re.search(r'Repository = "https://github.com/([^"]+)"', project).group(1)
    badge = "[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    target = f"https://colab.research.google.com/github/{repository}/blob/main/notebooks/{page.path.name}"
    if f"{badge}({target})" not in page.cells[0].source:
        yield target
    if not any(f"https://github.com/{repository}.git" in cell.source for cell in page.tagged("setup")):
        yield "the set-up cell fetches this repository"


@rule(lessons_from="00")
def a_lesson_has_its_parts_in_order(page):
    if len(page.tagged("parameters")) != 1 or len(page.tagged("setup")) != 2:
        yield "one cell of parameters, two of set-up"
    if [cell for cell in page.code[:3] if not {"setup", "parameters"} & set(cell.metadata.get("tags", []))]:
        yield "set-up and parameters come first"
    prose = "\n".join(cell.source for cell in page.markdown)
    ends = [part for part in ("· What we found\n", "## Your turn\n", "**Next:**", "## References\n")
            if page.number != "00" or part[:2] not in ("· ", "##") or "References" in part]
    places = [prose.find(part) for part in ends]
    if -1 in places or places != sorted(places):
        yield f"{', '.join(part.strip() for part in ends)}, in this order"
    asked = [text for _level, text in page.headings if text.endswith("Who still confuses the stubborn pair?")]
    if page.number >= "03" and len(asked) != 1:
        yield "from lesson 03 on the stubborn pair is asked about"


@rule(lessons_from="01")
def claims_print_their_sentence_with_measured_numbers(page):
    claims = page.tagged("claim")
    if len(claims) < 3:
        yield f"{len(claims)} claims"
    yield from (f"{first_line(cell)} lacks the tag" for cell in page.code
                if "claim(" in re.sub(r"\w+claim\(", "", cell.source) and cell not in claims)
    for cell in claims:
        calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)
                 and getattr(node.func, "id", "") == "claim"]
        if not calls:
            yield f"{first_line(cell)} claims nothing"
        printed = said(cell).split("✓ ")[1:]
        if len(printed) != len(calls):
            yield f"{first_line(cell)}: {len(calls)} claims, {len(printed)} sentences"
        for call, sentence in zip(sorted(calls, key=lambda call: call.lineno), printed, strict=False):
            yield from (f"{first_line(cell)}: {fault}" for fault in faults_of_claim(call, sentence.strip()))


def faults_of_claim(call, printed):
    """Yield what is wrong with a claim, from its call and the sentence it printed."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    template = ast.literal_eval(call.args[0])
    fields = [(before, name, form) for before, name, form, _ in string.Formatter().parse(" ".join(template.split()))]
    pattern = "".join(re.escape(before) + ("(.+?)" if name is not None else "") for before, name, _form in fields)
    match = re.fullmatch(pattern, printed)
    fields = [(name, form) for _before, name, form in fields if name is not None]
    if not match:
        yield f"it printed another sentence than its own: {printed}"
    elif fields:
        shown = dict(zip(fields, match.groups(), strict=True))
        yield from (f"{name} is shown without a number: {value}" for (name, form), value in shown.items()
                    if form and NUMERIC_FORMAT.fullmatch(form) and not re.search(r"\d", value))
        if not any(re.search(r"\d", value) or value.isalpha() for value in shown.values()):
            yield "it shows no number"
    holds = given.get("holds")
    if isinstance(holds, ast.Lambda):
        used = {node.id for node in ast.walk(holds.body) if isinstance(node, ast.Name)}
        asked = {argument.arg for argument in holds.args.args} & used
        if all(isinstance(given.get(name), ast.Constant) for name in asked):
            yield "it holds whatever was measured"
        elif holds_of_anything(holds):
            yield "it holds of any numbers"
    else:
        yield "its condition is not written out where it stands"


def holds_of_anything(holds):
    """Whether a claim's condition is true of numbers drawn at random, again and again; of words or lists it says no."""
    drawn = np.random.default_rng(0).choice([-1e6, -1.0, -0.1, 0.0, 0.3, 1.0, 1e6], (100, len(holds.args.args)))
    ask = eval(compile(ast.Expression(holds), "claim", "eval"), {"np": np})
    try:
        return all(ask(*numbers) for numbers in drawn)
    except Exception:
        return False


@rule(lessons_from="01")
def a_number_in_the_summary_is_printed_by_a_claim(page):
    prose = re.sub(r"\b(lesson|section)( \d+|s \d+((, | and | to |–)\d+)*)", "", without_code(page.summary))
    known = {as_number(found) for cell in page.tagged("claim") for found in NUMBER.findall(said(cell))}
    yield from (found for found in NUMBER.findall(prose) if as_number(found) not in known)


def as_number(text):
    return float(text.replace(",", ""))


# quoted from elsewhere or from another section, said of a picture, asked for in an exercise, or an example
QUOTED = {"00": {95}, "01": {0.4375, 0.25, 0.75, 0.01}, "02": {4}, "05": {0.1, 90}, "06": {15}, "07": {0.1},
          "08": {0.9875, 0.4375, 85}, "10": {0.1, 80}, "11": {1.96, 2.26, 10}, "12": {15}, "13": {0.5, 1.0, 95}}


@rule(lessons_from="00")
def a_decimal_or_a_share_in_prose_stands_in_what_its_section_runs_or_shows(page):
    for prose, cells in page.sections:
        if re.match(r"## \d+ · What we found$", prose, re.M):
            continue  # held to the claims
        code = "\n".join(cell.source.replace("_", "") + " " + said(cell) for cell in cells)
        known = {as_number(found) for found in NUMBER.findall(code)} | QUOTED.get(page.number, set())
        prose = re.sub(r"\b(section|exercise)s? [\d.]+", "", prose)
        yield from (found for found in re.findall(r"\d[\d,]*\.\d+|\d[\d,]*(?=\s?(?:%|per cent|points))", prose)
                    if as_number(found) not in known)


@rule(lessons_from="00")
def predictions_are_left_open_and_keys_belong_to_the_lesson(page):
    cells = page.tagged("predict")
    keys = [key for cell in cells for key in re.findall(r'predict\("([\d.]+)", None\)', cell.source)]
    if not len(keys) == len(cells) >= 1 or len(set(keys)) != len(keys):
        yield f"{len(cells)} cells, open predictions {keys}"
    yield from (key for key in keys if not key.startswith(page.number + "."))
    asked = re.findall(r'outcome\("([\d.]+)"', "\n".join(cell.source for cell in page.code))
    if sorted(asked) != sorted(keys):
        yield f"predictions {keys}, outcomes {asked}"


@rule(lessons_from="01")
def exercises_run_unsolved_and_have_a_solution(page):
    exercises = page.tagged("exercise")
    yield from (f"{first_line(cell)} lacks the tag" for cell in page.code
                if "exercises.check(" in cell.source and cell not in exercises)
    if len(exercises) < 3:
        yield f"{len(exercises)} exercises"
    yield from (f"{first_line(cell)} does not say that it was not tried yet" for cell in exercises
                if "not tried yet" not in said(cell))
    wanted = set(re.findall(r'exercises\.check\("([\d.]+)"', "\n".join(cell.source for cell in exercises)))
    solution = page.root / "notebooks" / "solutions" / page.path.name
    solved = solution.is_file() and {key for cell in Page(solution).code
                                     for key in re.findall(r"Exercise ([\d.]+): solved ✓", said(cell))}
    yield from (key for key in wanted if not key.startswith(page.number + "."))
    if wanted != solved:
        yield f"exercises {sorted(wanted)}, solved {sorted(solved or [])}"


@rule()
def links_lead_somewhere(page):
    for cell in page.markdown:
        yield from broken_links(page.path, cell.source, page.root)


def broken_links(path, markdown, root):
    """Yield the links to files and headings of the course that lead nowhere."""
    prose = re.sub(r"`[^`\n]*`", " ", without_listings(markdown))
    links = r"""\]\(([^)\s]+)(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s*(\S+)|(?:href|src)=["']([^"']+)"""
    for target in ("".join(found) for found in re.findall(links, prose, re.M)):
        if re.match(r"(https?|mailto):", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        inside = file.exists() and file.is_relative_to(root.resolve())
        if not inside or (anchor and anchor not in anchors(file)):
            yield target


def anchors(file):
    """What leads to a heading: on GitHub in lower case and without marks, in a notebook with "-" for blanks."""
    if file.suffix == ".ipynb":
        return {text.replace(" ", "-") for _level, text in Page(file).headings}
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-") for text in headings}


@rule()
def no_markdown_dialect_that_only_one_tool_understands(page):
    yield from (first_line(cell) for cell in page.markdown if re.search(r"^(:::|```\{)", cell.source, re.M))


@rule()
def prose_is_british(page):
    for cell in page.cells:
        words = american(without_code(cell.source)) if cell.cell_type == "markdown" else american_in_code(cell.source)
        yield from (f"{first_line(cell)}: {word}" for word in words)


def american(prose):
    return [found.group() for found in AMERICAN.finditer(prose)]


def without_shell(source):
    """A cell without a notebook's calls of the shell and its magics, which Python cannot read."""
    return re.sub(r"^(\s*)[!%].*$", r"\1pass", source, flags=re.M)


def american_in_code(source):
    """Look into comments and into strings of several words, without names, styles and (in capitals) titles of works."""
    source = without_shell(source)
    kinds = (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None))
    found = [token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type in kinds]
    prose = (re.sub(r"`[^`]*`|https?:\S+|[\w-]+:[\w{]\S*|\{[^{}]*\}", " ", text)
             for text in found if text.count(" ") > 1)
    return [word for text in prose for word in american(text) if word.islower()]


@rule()
def nothing_is_misspelt(page):
    yield from misspelt({first_line(cell): cell.source for cell in page.cells})


def misspelt(sources):
    """Return codespell's findings in texts given by name; pyproject.toml lists the words that it lets pass."""
    names, lines = [], []
    for name, text in sources.items():
        lines += (part := text.splitlines())
        names += [name] * len(part)
    codespell = shutil.which("codespell", path=str(Path(sys.executable).parent)) or shutil.which("codespell")
    done = subprocess.run([codespell, "--toml", str(ROOT / "pyproject.toml"), "-"], input="\n".join(lines) + "\n",
                          cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode in (0, 64, 65), done.stderr
    return [f"{names[int(number) - 1]}: {finding}" for number, finding in
            re.findall(r"^(\d+): .*\n\s+(.+ ==> .+)$", done.stdout, re.M)]


# The rules, held against the course

@pytest.mark.parametrize("path", LESSONS + SOLUTIONS, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("name", RULES)
def test_rule(name, path):
    assert RULES[name](Page(path)) == []


def test_most_cells_that_print_are_compared_exactly():
    kinds = Counter(nbval_report.how(cell) for path in LESSONS + SOLUTIONS for cell in Page(path).code)
    printing = kinds["exactly"] + kinds["within a tolerance"] + kinds["not"]
    assert kinds["exactly"] >= 0.7 * printing and kinds["not"] <= 0.05 * printing, kinds


def test_there_are_lessons_to_test():
    assert [path.stem[:2] for path in LESSONS] == [f"{number:02}" for number in range(14)]
    assert [path.name for path in SOLUTIONS] == [path.name for path in LESSONS[1:]]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_are_spelt_well_and_their_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    prose = "" if path.name == "bibliography.md" else without_code(text)  # titles are spelt as their authors did
    assert american(prose) + misspelt({path.name: text}) + list(broken_links(path, text, ROOT)) == []


def test_modules_are_spelt_well():
    sources = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
               for path in MODULES if path != Path(__file__)}  # which plants such words
    assert {name: words for name, text in sources.items() if (words := american_in_code(text))} == {}
    assert misspelt(sources) == []


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
    metadata = Page(ROOT / "notebooks" / "08_full_fine_tuning.ipynb").notebook.metadata
    assert metadata.accelerator == "GPU" and metadata.colab == {"gpuType": "T4", "provenance": []}


def test_the_glossary_names_lessons_that_use_the_word():
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in glossary.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 50 and len({row[0] for row in rows}) == len(rows)
    lessons = {path.stem[:2]: "\n".join(cell.source for cell in Page(path).markdown) for path in LESSONS}
    assert [row[3] for row in rows] == sorted(row[3] for row in rows)  # in the order of the lessons
    for english, chinese, line, lesson in rows:
        assert re.search(r"[\u4e00-\u9fff]", chinese) and line, english
        for word in english.split():
            assert re.search(rf"\b{re.escape(word)}", lessons[lesson], re.I), f"{english}: not in lesson {lesson}"


def references(path):
    """The works that a lesson cites: (year, title without marks and case, its arXiv number if it has one)."""
    text = "\n".join(cell.source for cell in Page(path).markdown)
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


# The rules, held against planted faults

ALT = "Two curves over the epochs: the training loss falls, the validation loss rises."
PNG = "iVBORw0KGgo="


def tiny_lesson():
    """A lesson that breaks no rule, and its solution."""
    badge = "https://colab.research.google.com/github/OWNER/REPO/blob/main/notebooks/03_tiny.ipynb"
    figure = nbformat.v4.new_output("display_data", {"image/png": PNG}, metadata={"image/png": {"alt": ALT}})
    cells = [
        markdown(f"# 03 · Tiny\n\n[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]({badge})\n\n"
                 "After this lesson you can\n\n- say one thing,\n- draw another,\n- count to three.\n\n"
                 "**About 30 minutes.** Needs lesson 02. Words: [glossary](../docs/glossary.md)."),
        code("# fetches https://github.com/OWNER/REPO.git\nimport math", tags=["setup"]),
        code('data = "reviews"', tags=["parameters"]),
        code("here = start(data)", "device CPU", tags=["setup", "nbval-ignore-output"], why_not_compared="names it"),
        markdown("## 1 · A guess\n\nThe colour of `color` is in [section 2](#2-·-What-we-found)."),
        code('predict("03.1", None)', "noted", tags=["predict"]),
        code('outcome("03.1", 2)\nprint("two")', "two"),
        code("plots.show(curves)", outputs=[figure]),
        code('claim("Of {n} texts {share:.0%} are right.", n=len(y), share=right.mean(),\n'
             "      holds=lambda share: share > 0.5)", "✓ Of 80 texts\n  75% are right.", tags=["claim"]),
        code('claim("The halves are {word}.", word=names[0], holds=lambda word: word == "alike")',
             "✓ The halves are alike.", tags=["claim"]),
        code('claim("Nothing moved.", moved=moved(), holds=lambda moved: not moved)',
             "✓ Nothing moved.", tags=["claim"]),
        markdown("### Who still confuses the stubborn pair?"),
        markdown("## 2 · What we found\n\nOf the texts of lesson 02, 75 % are right."),
        markdown("## Your turn"),
        *(code(f'exercises.check("03.{at}", None)', f"Exercise 03.{at}: not tried yet", tags=["exercise"])
          for at in (1, 2, 3)),
        markdown("**Next:** [the README](../README.md)\n\n## References\n\n- Behavior of Networks."),
    ]
    solution = [markdown("# 03 · Tiny: solutions"),
                *(code(f'exercises.check("03.{at}", {at})', f"Exercise 03.{at}: solved ✓", tags=["exercise"])
                  for at in (1, 2, 3))]
    return notebook(cells, "Tiny", minutes=30), notebook(solution, "Tiny: solutions")


def markdown(source):
    return nbformat.v4.new_markdown_cell(source)


def code(source, shows=None, outputs=(), **metadata):
    outputs = [nbformat.v4.new_output("stream", text=shows)] if shows else list(outputs)
    return nbformat.v4.new_code_cell(source, outputs=outputs, metadata=metadata)


def notebook(cells, title, **course):
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), 1):
        cell.execution_count = count
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel,
                                                           "course": {"lesson": "03", "title": title, **course}})


@pytest.fixture
def course(tmp_path):
    """A course of one tiny lesson: write(lesson, solution) puts it on the disk, with what a fault did to it."""
    for name, text in {"README.md": "| 03 | [Tiny](notebooks/03_tiny.ipynb) | count | 30 |\n",
                       "docs/glossary.md": "# Words\n",
                       "pyproject.toml": 'Repository = "https://github.com/OWNER/REPO"\n'}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)

    def write(lesson, solution):
        paths = tmp_path / "notebooks" / "03_tiny.ipynb", tmp_path / "notebooks" / "solutions" / "03_tiny.ipynb"
        for path, content in zip(paths, (lesson, solution), strict=True):
            path.write_text(json.dumps(content), encoding="utf-8")
        return [Page(path) for path in paths]
    return write


@pytest.mark.parametrize("name", RULES)
def test_a_lesson_without_a_fault_breaks_no_rule(name, course):
    assert [RULES[name](page) for page in course(*tiny_lesson())] == [[], []]


def replace(at, old, new):
    """A fault: in the cell at this place a text is replaced, in its source or, failing that, in what it shows."""
    def fault(lesson, _solution):
        cell = lesson.cells[at]
        holder, key = (cell, "source") if old in cell.source else (cell.outputs[0], "text")
        assert old in holder[key]
        holder[key] = holder[key].replace(old, new)
    return fault


def tag(at, *tags, **metadata):
    def fault(lesson, _solution):
        lesson.cells[at].metadata = {"tags": list(tags), **metadata}
    return fault


def change(do):
    """A fault that is written out: a function of the lesson."""
    return lambda lesson, _solution: do(lesson)


def cell(at, **fields):
    return change(lambda lesson: lesson.cells[at].update(fields))


def metadata(at, **fields):
    return change(lambda lesson: lesson.cells[at].metadata.update(fields))


def output(at, **fields):
    return change(lambda lesson: lesson.cells[at].outputs[0].update(fields))


GUESS, PREDICTION, OUTCOME, FIGURE, CLAIM, WORD, NOTHING, PAIR, SUMMARY, TURN, EXERCISE = range(4, 15)
END = -1
PLANTED = [
    ("the_file_is_nbformat_4_5_and_each_cell_has_an_id_of_its_own", {
        "an older format": change(lambda lesson: lesson.update(nbformat_minor=4)),
        "a cell without id": change(lambda lesson: lesson.cells[GUESS].pop("id")),
        "the same id twice": change(lambda lesson: lesson.cells[GUESS].update(id=lesson.cells[TURN].id)),
        "no list of outputs": change(lambda lesson: lesson.cells[CLAIM].pop("outputs"))}),
    ("stored_outputs_come_from_one_run_from_top_to_bottom", {
        "a cell run twice": cell(CLAIM, execution_count=9),
        "a cell not run": cell(FIGURE, execution_count=None)}),
    ("a_code_cell_that_shows_something_kept_its_output", {
        "a print cleared": cell(OUTCOME, outputs=[]),
        "a print that shows nothing": output(OUTCOME, text=""),
        "a print in a loop cleared": cell(OUTCOME, source='outcome("03.1", 2)\nfor n in y:\n    print(n)', outputs=[]),
        "a figure cleared beside a print": cell(OUTCOME, source='outcome("03.1", 2)\nprint("two")\nplots.show(curves)'),
        "a figure cleared": cell(FIGURE, outputs=[])}),
    ("outputs_are_clean", {
        **{text: output(OUTCOME, text=text) for text in ("read /home/me/x", r"read C:\Users\me", "a FutureWarning",
                                                         " 40%|####    | 2/5", "<object at 0x7f>", "in C:/data/x",
                                                         "Traceback (most recent call last):", "ERROR: no pip")},
        "the value of another run": cell(OUTCOME, outputs=[
            nbformat.v4.new_output("execute_result", {"text/plain": "two"}, execution_count=99)]),
        "stderr": output(OUTCOME, name="stderr"),
        "an error": cell(OUTCOME, outputs=[
            nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])])}),
    ("sources_name_no_path_of_a_machine", {
        **{path: replace(OUTCOME, "print(", f'open("{path}")\nprint(')
           for path in ("/home/me/x", "C:/Users/me/x", "/mnt/data/x", "file:///home/me/x")},
        "in prose": replace(GUESS, "The colour", r"Look into C:\data. The colour")}),
    ("no_secret_is_written_down", {
        **{kind: replace(OUTCOME, "print(", f'login("{kind}{"aB3" * 12}")\nprint(') for kind in ("hf_", "sk-", "ghp_")},
        "shown": output(OUTCOME, text="hf_" + "aB3" * 12),
        "in prose": replace(GUESS, "The colour", f"Log in with AKIA{'A2' * 8}. The colour")}),
    ("no_error_is_passed_over_in_silence", {
        "an exception": replace(OUTCOME, "print(", "try:\n    train()\nexcept Exception:\n    pass\nprint("),
        "suppressed": replace(OUTCOME, "print(", "with suppress(Exception):\n    train()\nprint("),
        "captured": replace(OUTCOME, "outcome(", "%%capture\noutcome("),
        "in the shell": replace(OUTCOME, "print(", "!pip install sft || true\nprint(")}),
    ("metadata_is_tidy", {
        "state of widgets": change(lambda lesson: lesson.metadata.update(widgets={})),
        "another kernel": change(lambda lesson: lesson.metadata.kernelspec.update(name="my-env")),
        "another title": change(lambda lesson: lesson.metadata.course.update(title="Huge")),
        "too large": change(lambda lesson: lesson.cells[FIGURE].outputs[0].data.update({"image/png": PNG * 90_000})),
        "times of a run": metadata(CLAIM, execution={"shell.execute_reply": "now"}),
        "a tolerance without a reason": metadata(CLAIM, tolerance={"abs": 1}),
        "a tolerance without a size": metadata(CLAIM, tolerance={"why": "noise"})}),
    ("a_tolerance_is_smaller_than_what_it_is_about", {
        "of a number": metadata(CLAIM, tolerance={"abs": 100, "why": "noise"}),
        "of a share": metadata(CLAIM, tolerance={"rel": 1.0, "why": "noise"}),
        "of a figure": metadata(FIGURE, tolerance={"figure": 500, "why": "noise"})}),
    ("tags_are_known_and_what_is_not_compared_says_why", {
        "an unknown tag": tag(OUTCOME, "todo"),
        "a tag twice": tag(CLAIM, "claim", "claim"),
        "no reason": tag(OUTCOME, "nbval-skip"),
        "a reason without a tag": tag(OUTCOME, why_not_compared="it takes long")}),
    ("few_cells_are_left_uncompared", {
        "a second one": tag(OUTCOME, "nbval-ignore-output", why_not_compared="it differs"),
        "a second one, skipped": tag(OUTCOME, "nbval-skip", why_not_compared="it differs")}),
    ("pictures_have_alt_text", {
        "none": output(FIGURE, metadata={}),
        "a word": change(lambda lesson: lesson.cells[FIGURE].outputs[0].metadata["image/png"].update(alt="curves")),
        "blanks": change(lambda lesson: lesson.cells[FIGURE].outputs[0].metadata["image/png"].update(alt=" " * 40)),
        "in HTML": replace(GUESS, "The colour", '<img src="../README.md" alt="plot"> The colour'),
        "a vector graphic": output(FIGURE, data={"image/svg+xml": "<svg/>"}),
        "in prose": replace(GUESS, "The colour", "![plot](plot.png)")}),
    ("code_fits_on_a_page", {
        "a long line": replace(OUTCOME, "print(", "a = " + "1 + " * 30 + "1\nprint("),
        "a long cell": replace(OUTCOME, "print(", "a = 1\n" * 25 + "print(")}),
    ("headings_step_down_one_level_at_a_time_and_are_numbered_in_order", {
        "a second title": replace(TURN, "## Your turn", "# Your turn"),
        "no title": replace(0, "# 03", "## 03"),
        "a level skipped": replace(PAIR, "###", "####"),
        "a number skipped": replace(SUMMARY, "## 2", "## 3"),
        "a number twice": replace(SUMMARY, "## 2", "## 1"),
        "a number after the end": replace(END, "## References", "## 3 · References"),
        "numbers that come late": replace(GUESS, "## 1 · A guess", "## A guess"),
        "the same twice": replace(TURN, "Your turn", "References")}),
    ("the_first_cell_says_what_and_how_long", {
        "no objectives": replace(0, "you can\n\n-", "there is\n\n-"),
        "two objectives": replace(0, "- draw another,\n", ""),
        "no minutes": replace(0, "**About 30 minutes.**", "Half an hour."),
        "other minutes": replace(0, "30", "40"),
        "two hours": change(lambda lesson: (lesson.metadata.course.update(minutes=120),
                                            replace(0, "30", "120")(lesson, None))),
        "minutes that README does not know": change(lambda lesson: (lesson.metadata.course.update(minutes=40),
                                                                    replace(0, "30", "40")(lesson, None))),
        "another number": replace(0, "# 03", "# 04"),
        "no glossary": replace(0, "../docs/glossary.md", "../README.md")}),
    ("the_badge_opens_this_very_notebook", {
        "another lesson": replace(0, "03_tiny.ipynb", "04_tiny.ipynb"),
        "another repository": replace(0, "OWNER/REPO", "me/mine"),
        "a set-up that fetches another": replace(1, "OWNER/REPO", "me/mine")}),
    ("a_lesson_has_its_parts_in_order", {
        "no parameters": tag(2),
        "one cell of set-up": tag(1),
        "set-up not first": change(lambda lesson: lesson.cells.insert(1, code("1"))),
        "no references": replace(END, "## References", "## Sources"),
        "no next": replace(END, "**Next:**", "Then"),
        "exercises before the summary": change(lambda lesson: lesson.cells.insert(SUMMARY, lesson.cells.pop(TURN))),
        "no stubborn pair": replace(PAIR, "Who still confuses the stubborn pair?", "And the pair?")}),
    ("claims_print_their_sentence_with_measured_numbers", {
        "two claims": change(lambda lesson: lesson.cells.pop(CLAIM)),
        "an untagged one": tag(CLAIM),
        "a tag without a claim": tag(OUTCOME, "claim"),
        "nothing printed": cell(CLAIM, outputs=[]),
        "another sentence": replace(NOTHING, '"Nothing moved', '"Everything moved'),
        "a sentence without its number": replace(CLAIM, "75%", "most"),
        "an empty field": replace(WORD, "are alike.", "are ?."),
        "not held": replace(CLAIM, "✓ Of", "not held here: Of"),
        "a number typed in": replace(CLAIM, "share=right.mean()", "share=0.75"),
        "always true": replace(CLAIM, "share > 0.5", "True"),
        **{condition: replace(CLAIM, "share > 0.5", condition)
           for condition in ("share > 0.5 or True", "share == share", "share ** 2 >= 0", "(share > 0.5,)")},
        "a condition from elsewhere": replace(CLAIM, "lambda share: share > 0.5", "always")}),
    ("a_number_in_the_summary_is_printed_by_a_claim", {
        "another number": replace(SUMMARY, "75 %", "76 %"),
        "a rounded number": replace(SUMMARY, "75 %", "74.9 %")}),
    ("a_decimal_or_a_share_in_prose_stands_in_what_its_section_runs_or_shows", {
        "a share of long ago": replace(GUESS, "The colour", "It is right in 61 %. The colour"),
        "a share of another section": replace(TURN, "## Your turn", "## Your turn\n\nOf them 75 % are right."),
        "a stale decimal": replace(TURN, "## Your turn", "## Your turn\n\nThe loss was 0.123.")}),
    ("predictions_are_left_open_and_keys_belong_to_the_lesson", {
        "a guess of the author's": replace(PREDICTION, "None", "5"),
        "another lesson's key": change(lambda lesson: (replace(PREDICTION, "03.1", "02.1")(lesson, None),
                                                       replace(OUTCOME, "03.1", "02.1")(lesson, None))),
        "no outcome": replace(OUTCOME, 'outcome("03.1", 2)\n', ""),
        "no prediction": tag(PREDICTION)}),
    ("exercises_run_unsolved_and_have_a_solution", {
        "two exercises": change(lambda lesson: lesson.cells.pop(EXERCISE)),
        "a fourth one without tag": change(lambda lesson: lesson.cells.insert(
            EXERCISE, code('exercises.check("03.4", None)', "Exercise 03.4: not tried yet"))),
        "another lesson's key": lambda lesson, solution: (
            replace(EXERCISE, "03.1", "02.1")(lesson, None), replace(1, "03.1", "02.1")(solution, None),
            solution.cells[1].outputs[0].update(text="Exercise 02.1: solved ✓")),
        "one solved in the lesson": replace(EXERCISE, "not tried yet", "solved ✓"),
        "a solution that fails": lambda _lesson, solution: solution.cells[1].outputs[0].update(text="a hint"),
        "no solution of one": lambda _lesson, solution: solution.cells.pop()}),
    ("links_lead_somewhere", {
        "no such file": replace(END, "../README.md", "../LIESMICH.md"),
        "no such file, with a title": replace(END, "../README.md", '../LIESMICH.md "Read me"'),
        "no such file, by reference": replace(END, "(../README.md)", "[read]\n\n[read]: ../LIESMICH.md"),
        "no such file, in HTML": replace(END, "[the README](../README.md)", '<a href="../LIESMICH.md">it</a>'),
        "no such heading": replace(GUESS, "#2-·-What-we-found", "#3-·-What-we-found"),
        "no such heading elsewhere": replace(0, "../docs/glossary.md", "../docs/glossary.md#letters"),
        "out of the course": replace(END, "../README.md", "../..")}),
    ("no_markdown_dialect_that_only_one_tool_understands", {
        "a box": replace(GUESS, "The colour", ":::{tip}\nThe colour"),
        "a directive": replace(GUESS, "The colour", "```{note}\nThe colour")}),
    ("prose_is_british", {
        "in prose": replace(GUESS, "The colour", "The color"),
        "in a comment": replace(OUTCOME, "print(", "# the neighbors of both\nprint("),
        "in a sentence": replace(NOTHING, "Nothing moved", "Nothing was labeled")}),
    ("nothing_is_misspelt", {
        "in prose": replace(GUESS, "The colour", "Teh colour"),
        "in code": replace(OUTCOME, "print(", "# as we recieved it\nprint(")}),
]


@pytest.mark.filterwarnings("ignore::nbformat.warnings.MissingIDFieldWarning",
                            "ignore::nbformat.warnings.DuplicateCellId")
@pytest.mark.parametrize(("name", "fault"), [
    pytest.param(name, fault, id=f"{name}-{what}") for name, faults in PLANTED for what, fault in faults.items()])
def test_a_planted_fault_is_found(name, fault, course):
    lesson, solution = tiny_lesson()
    fault(lesson, solution)
    assert RULES[name](course(lesson, solution)[0])


def test_a_fault_is_planted_for_each_rule():
    assert [name for name, _faults in PLANTED] == list(RULES)
