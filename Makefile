# One environment, one way to do each thing. `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NOTEBOOK ?= notebooks/01-operate.ipynb

.PHONY: help lab test test-full check bench practice practice-stop clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON); install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "missing: Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V)"; exit 1; }
	@echo "== creating the environment in $(VENV) and installing (a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV) || { echo "missing: the venv module; on Debian: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e . --group test
	@touch $@

lab: $(READY) ## set up everything and open the operate notebook in JupyterLab
	@echo "== starting JupyterLab on $(NOTEBOOK); Ctrl-C ends it"
	@$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(NOTEBOOK) \
		$(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_FLAGS)

test: $(READY) ## set up everything and run all tests (large counts: a tenth)
	@$(BIN)/python -m tests.suite

test-full: $(READY) ## the same with every large count whole
	@DOTAI_TEST_FULL=1 $(BIN)/python -m tests.suite

check: $(READY) ## format, lint, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(READY) ## side-by-side measurements, printed as ratios
	@$(BIN)/python -m benchmarks

practice: $(READY) ## a real Kubernetes control plane to practise on (10 minutes the first time)
	@$(BIN)/python -m tests.cluster.practice start

practice-stop: $(READY) ## end it
	@$(BIN)/python -m tests.cluster.practice stop

clean: ## remove the environment and what tests leave
	rm -rf $(VENV) artifacts .pytest_cache .mypy_cache .ruff_cache dist
