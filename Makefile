# Every target makes .venv by itself, from a bare clone, with nothing but Python 3.11+ and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The CPU build of torch is fifteen times smaller than the default one; where only the default is served, pip takes that.
TORCH := torch==2.13.0

.PHONY: demo test test-slow account lint bench mutants stubs docs clean

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,peers]"
	touch $@

demo: $(VENV)/.core
	$(BIN)/fivefold compare breast-cancer --target diagnosis

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not slow"

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadscope

# Does each package's evidence keep its two core-seconds a row? Told fairly only by a quiet machine.
account: $(VENV)/.dev
	$(BIN)/python -m pytest -n 1 -m "not slow" --account-margin 1 tests/test_evidence.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy src/fivefold/base src/fivefold/engine src/fivefold/workbench
	$(BIN)/python tools/stubs.py --check

bench: $(VENV)/.dev
	$(BIN)/fivefold bench

mutants: $(VENV)/.dev
	$(BIN)/python tools/mutants.py $(PACKAGE)

stubs: $(VENV)/.dev
	$(BIN)/python tools/stubs.py

clean:
	rm -rf $(VENV)
