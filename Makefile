# The menu. `make` alone prints it.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test check lab bench prove docs clean

PYTHON ?= python3
BIN := .venv/bin
# A file of tests to each process (tests/conftest.py), their own files in memory; at the end what took longest. Two
# processes for what computes, three where much of the time is waiting: for hosts that died, or that are to settle.
TEST = tests/in-memory $(BIN)/python -m pytest -q
EACH := --dist loadfile --no-loadscope-reorder --durations=25
# Installing takes a minute or two: say what is being fetched.
PIP = $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off
SAY = sed -un -e 's/^Collecting \([^ ]*\).*/  fetching \1/p' -e 's/^Installing collected packages.*/  installing .../p' -e '/^ERROR/p'
# Bytecode makes every start faster; an environment that forbids writing it must not reach pip or the tests.
export PYTHONDONTWRITEBYTECODE :=

help: ## This menu
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.venv/base: pyproject.toml
	@echo "setting up .venv (a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) -e . | $(SAY)
	@touch $@

.venv/dev: .venv/base
	@$(PIP) -e '.[dev]' | $(SAY)
	@touch $@

.venv/lab: .venv/base
	@$(PIP) -e '.[lab]' | $(SAY)
	@touch $@

setup: .venv/dev ## Make .venv with everything that development needs

demo: .venv/base ## Run the first runbooks on this machine, render, verify, say where to look
	$(BIN)/opsnb demo

check: .venv/dev ## Lint, types, contracts, unit tests: under 90 seconds
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/opsnb runbook lint runbooks
	$(TEST) -n 2 $(EACH) -p no:schemathesis -p no:anyio -m "not slow and not browser"

test: .venv/dev ## Everything: system packages, lint, types, contracts, all tests
	tests/install-system-packages tests/system-packages.txt
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/opsnb runbook lint runbooks
	$(TEST) -n 3 $(EACH)

prove: .venv/dev ## The property tests with their full number of trials
	OPSNB_PROVE=1 $(TEST) --timeout=7200 tests/ledger tests/base tests/catalog tests/prove tests/runs/test_truth.py tests/secrets tests/hostile tests/fleet_failures tests/approvals tests/claims tests/api/test_schema.py tests/login tests/nginx/test_access_hostile.py
	PYTHONPATH=tests $(BIN)/python tests/bench/access.py 5000000

build/lab/ready: pyproject.toml
	@echo "setting up a second environment with jupyterlab, to measure beside it ..."
	@test -x build/lab/bin/python || $(PYTHON) -m venv build/lab
	@build/lab/bin/python -m pip install --disable-pip-version-check --progress-bar off -e '.[lab]' | $(SAY)
	@touch $@

bench: .venv/dev build/lab/ready ## The figures, each a ratio measured in one run
	$(BIN)/python -m compileall -q lib .venv/lib build/lab/lib >/dev/null || true
	$(BIN)/python tests/bench/run.py --lab build/lab/bin/python
	PYTHONPATH=tests $(BIN)/python tests/bench/masker.py
	PYTHONPATH=tests $(BIN)/python tests/bench/inventory.py
	PYTHONPATH=tests $(BIN)/python tests/bench/access.py
	PYTHONPATH=tests $(BIN)/python tests/bench/lists.py
	$(BIN)/python tests/bench/ssh.py || echo "a figure of the fleet was missed, or this is not root"

lab: .venv/lab ## JupyterLab on this workspace
	$(BIN)/jupyter lab

docs: .venv/dev ## Write the generated pages anew and check every link
	$(BIN)/python docs/generate.py
	$(BIN)/python -m pytest -q tests/house

clean: ## Remove what was built
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
