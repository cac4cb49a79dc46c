# make run        set up, then run every lesson (LESSONS="03 04" for some; BACKBONE=…, DATA=… for others)
# make test       set up, then run all tests, nbval on every lesson included
# make test-quick the tests that neither train nor run a lesson: about a minute
# make lab        open JupyterLab at lesson 00
# make test-deep  what takes longer: 200 interruptions of a training run; every lesson on other processors
# make test-colab  the lessons with what Colab preinstalls, each alone in an empty folder (LESSONS="03" for some)
# make test-lowest the lowest versions that pyproject.toml admits: the tests, and lesson 03
# make mutate     plant faults in a copy of the course and see whether the tests notice (hours; goes on where it was)
# make bench      the training loop beside what a user would pick instead, as ratios (some 20 minutes)
# make outputs    run lessons fresh and store their outputs in the notebooks (LESSONS="03" for some)
# make handout    the course for a class, without solutions and tests: _build/course.zip
# make badges REPO=owner/name

PYTHON ?= python3
LESSONS ?=
CONSTRAINTS ?= constraints.txt
BACKBONE ?=
DATA ?=
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/installed
UV := _build/uv/bin/uv
LOWEST := _build/lowest-venv/bin/python

.PHONY: run test test-quick test-deep test-colab test-lowest mutate bench lab outputs handout badges setup clean

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "The course needs Python 3.11 or newer; choose one with make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[dev,spacy]"
	@touch $@

run: $(INSTALLED)
	@$(PY) tools/course.py run $(LESSONS) $(if $(BACKBONE),--backbone "$(BACKBONE)") $(if $(DATA),--data "$(DATA)")

test: $(INSTALLED)
	$(PY) -m pytest -n auto --dist loadfile

test-quick: $(INSTALLED)
	$(PY) -m pytest tests -m "not slow" -n auto --dist loadfile

test-deep: $(INSTALLED)
	SFT_KILLS=200 $(PY) -m pytest tests/test_training.py -k killed -s
	$(PY) -m benchmarks.processors

test-colab: $(INSTALLED) $(UV)
	@$(PY) tools/colab.py $(LESSONS) --python "$(PYTHON)"

test-lowest: $(UV)
	$(UV) venv --quiet --clear --python "$(PYTHON)" _build/lowest-venv
	$(UV) pip install --quiet --python $(LOWEST) --resolution lowest-direct -e ".[dev,spacy]"
	CONSTRAINTS=lowest $(LOWEST) -m pytest tests -n auto --dist loadfile
	$(LOWEST) tools/course.py run $(or $(LESSONS),03)

$(UV):
	$(PYTHON) -m venv _build/uv
	_build/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@touch $@

mutate: $(INSTALLED)
	$(PY) tools/mutate.py all

bench: $(INSTALLED)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(PY) -m benchmarks.bench

lab: $(INSTALLED)
	$(VENV)/bin/jupyter lab notebooks/00_start_here.ipynb

outputs: $(INSTALLED)
	@$(PY) tools/course.py outputs $(LESSONS)

handout:
	@mkdir -p _build
	@git archive --format=zip --prefix=course/ --output=_build/course.zip HEAD . \
		":(exclude)notebooks/solutions" ":(exclude)tests" ":(exclude)conftest.py"

badges: $(INSTALLED)
	@$(PY) tools/course.py badges "$(REPO)"

clean:
	rm -rf _build $(VENV)
