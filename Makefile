# `make demo` and `make test` set up everything they need in .venv.
# PYTHON says which Python to use; otherwise bootstrap.sh looks for one.
PYTHON ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

ENGINES := mlx,transformers,whisper-cpp,pocketsphinx
ENGINE_TESTS := tests/ports/test_recognizer_conformance.py tests/adapters/test_ggml_models.py \
	tests/adapters/test_pocketsphinx.py tests/adapters/test_whisper_cpp.py \
	tests/adapters/test_whisper_engines.py tests/e2e/test_doctor.py tests/e2e/test_models_command.py

.PHONY: help demo chaos test real-models conformance conformance-whisperx faults fuzz check format clean

help:
	@echo "make demo         transcribe the shipped sample, with and without its glossary"
	@echo "make chaos        the same while a saboteur kills, stops and starves the workers"
	@echo "make test         run the tests"
	@echo "make real-models  fetch real Whisper models and human speech for tests and benches"
	@echo "make conformance  hold every recognizer to one suite, each with its own library"
	@echo "make conformance-whisperx   the same for WhisperX, in an environment of its own"
	@echo "make faults       inject a thousand faults and more, and print what came of them"
	@echo "make fuzz         read five hundred mutated media files"
	@echo "make check        lint, types and import direction"
	@echo "make format       format the code"
	@echo "make clean        remove the environments and everything that was made"

demo: .venv/run.stamp
	$(BIN)/python demo/run.py

chaos: .venv/run.stamp
	$(BIN)/python demo/chaos.py

# Without a network the tests that need a real model are skipped, and say so.
test: .venv/test.stamp
	$(BIN)/python -m tools.real_models --optional
	$(BIN)/python -m pytest -n auto --dist worksteal

# 240 MB to download, once; into .models.
real-models: .venv/run.stamp
	$(BIN)/python -m tools.real_models

conformance: .venv-engines/test.stamp
	.venv-engines/bin/python -m pytest -n 2 --dist worksteal $(ENGINE_TESTS)

# Two gigabytes and, on two cores, two minutes to install and four to run.
conformance-whisperx: .venv/test.stamp
	$(BIN)/python -m tools.whisperx_conformance

faults: .venv/test.stamp
	$(BIN)/python -m tests.faults

fuzz: .venv/test.stamp
	$(BIN)/python -m tests.faults.fuzz_media

check: .venv/lint.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/lint.stamp
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format

clean:
	rm -rf .venv .venv-engines .models demo/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Each stamp stands for an installed set of packages and is remade when the pins change.
.venv/run.stamp: pyproject.toml constraints.txt bootstrap.sh
	PYTHON=$(PYTHON) VENV=.venv EXTRAS=score ./bootstrap.sh
	touch $@

.venv/test.stamp: .venv/run.stamp
	$(PIP) install --constraint constraints.txt --group test
	touch $@

.venv/lint.stamp: .venv/test.stamp
	$(PIP) install --constraint constraints.txt --group lint
	touch $@

# Every recognizer that fits into one environment. A build of torch without CUDA is enough and
# spares gigabytes: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make conformance
.venv-engines/test.stamp: pyproject.toml constraints.txt bootstrap.sh
	PYTHON=$(PYTHON) VENV=.venv-engines EXTRAS=$(ENGINES),score ./bootstrap.sh
	.venv-engines/bin/python -m pip --disable-pip-version-check --quiet install \
		--constraint constraints.txt --group test
	touch $@
