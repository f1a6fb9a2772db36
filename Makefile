# Everything starts from a machine that has python3 (3.11 or newer, with venv) and make.
#   make demo    the energy of Llama-3.1-8B inference on one H100
#   make test    lint, types, tests and notebooks: what CI runs
# Set-up happens once, in .venv; PYTHON=python3.12 chooses another interpreter, TORCH=torch==2.14.1 another torch.

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The CPU build of torch is enough and a tenth of the size. It is numbered 2.13.0+cpu, which sorts above the 2.13.0 of the
# main index, so offering both indexes selects it; where the CPU index cannot be reached, the main index serves alone.
# --no-deps: only torch is asked of the second index; its dependencies come with the project, from the main one.
CPU_INDEX := https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip --disable-pip-version-check

NOTEBOOKS := $(wildcard notebooks/*.ipynb)

.PHONY: demo test lint format types unit notebooks check bench clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/python -m estimator llama-3.1-8b --hw H100

test: lint types unit notebooks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest -q

notebooks: $(READY)
ifneq ($(NOTEBOOKS),)
	$(BIN)/pytest -q --nbmake --nbmake-timeout=300 $(NOTEBOOKS)
endif

check: $(READY)
	$(BIN)/python -m estimator check

bench: $(READY)
	@set -e; for script in $(wildcard benchmarks/*.py); do $(BIN)/python $$script; done

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11; try: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV): a few minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q --no-deps --retries 1 --timeout 20 --extra-index-url $(CPU_INDEX) "$(TORCH)"
	$(PIP) install -q -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
