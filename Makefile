# One command each; `make help` lists them. All work in a virtual environment inside the checkout, and none needs root.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.mixcni-setup
# A suite of `make lab`: the seed of its first round, how many recordings, and where they go.
SEED ?= 1
COUNT ?= 80
OUT ?= /tmp/mixcni-lab-$(SEED)

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs unit kernels notebooks bench lab cases clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(SETUP)  ## diagnose the founding case in captures/networkpolicy-drop
	@$(BIN)/mixcni diagnose captures/networkpolicy-drop

test: lint docs unit kernels notebooks  ## every check: lint, types, import contracts, pages, tests, notebooks

lint: $(SETUP)  ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(SETUP)  ## the pages, built strictly into build/docs; needs no network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

unit: $(SETUP)  ## the tests, with compiled kernels
	$(BIN)/pytest

kernels: $(SETUP)  ## the tests of kernels again, in plain Python with every index checked
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -m kernels

notebooks: $(SETUP)  ## execute the notebooks and hold their outputs against the saved ones
	$(BIN)/python notebooks/execute.py

bench: $(SETUP)  ## packets per second, beside the peers that are installed
	$(BIN)/python bench/run.py

lab: $(SETUP)  ## record COUNT faults from SEED into OUT and score their diagnoses (needs root, ip, nft, tc and tcpdump)
	$(BIN)/python captures/lab/suite.py $(OUT) --seed $(SEED) --count $(COUNT)

cases:  ## record the six cases in captures/ anew (needs root, ip, nft, sysctl and tcpdump)
	$(PYTHON) captures/lab/record.py

clean:  ## remove the virtual environment and what the checks left
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist

$(SETUP): pyproject.toml
	@echo "setting up $(VENV) (a minute or two, once)" >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mixcni needs Python 3.11 or later, found " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
