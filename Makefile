# `make demo` and `make test` set up everything they need in .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo chaos test faults check format clean

help:
	@echo "make demo    transcribe the shipped sample, with and without its glossary"
	@echo "make chaos   the same while a saboteur kills, stops and starves the workers"
	@echo "make test    run the tests"
	@echo "make faults  inject a thousand faults and more, and print what came of them"
	@echo "make check   lint, types and import direction"
	@echo "make format  format the code"
	@echo "make clean   remove .venv and everything that was made"

demo: .venv/run.stamp
	$(BIN)/python demo/run.py

chaos: .venv/run.stamp
	$(BIN)/python demo/chaos.py

test: .venv/test.stamp
	$(BIN)/python -m pytest -n auto --dist worksteal

faults: .venv/test.stamp
	$(BIN)/python -m tests.faults

check: .venv/lint.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/lint.stamp
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format

clean:
	rm -rf .venv demo/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Each stamp stands for an installed set of packages and is remade when the pins change.
.venv/run.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	"Longscribe needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + \
	". Say which one to use: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) install --upgrade --constraint constraints.txt pip
	$(PIP) install --constraint constraints.txt --editable '.[faster-whisper,score]'
	touch $@

.venv/test.stamp: .venv/run.stamp
	$(PIP) install --constraint constraints.txt --group test
	touch $@

.venv/lint.stamp: .venv/test.stamp
	$(PIP) install --constraint constraints.txt --group lint
	touch $@
