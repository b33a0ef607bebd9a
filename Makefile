# Every target sets up what it needs first (scripts/setup.sh) and stops with a non-zero status on failure.
# PYTEST_ARGS goes to pytest, e.g.  make test PYTEST_ARGS="-x -k outbox"

BIN := .venv/bin
PYTEST_ARGS ?=
BUNDLES := reduced_models/edge_twin_models/bundles
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-bluez fuzz lint types imports format bench distill wheel clean distclean setup-run setup-dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: setup-run ## the embedded demonstration: no hardware, no server, ends by itself
	@$(BIN)/edge-twin run

test: lint types imports ## all checks: style, types, import rule, quick tests
	@echo "== tests"
	@$(BIN)/python -m pytest -q $(PYTEST_ARGS)

test-slow: setup-dev ## the long tests, which `make test` leaves out
	@$(BIN)/python -m pytest -q -m slow $(PYTEST_ARGS)

test-bluez: setup-dev ## the client on Linux's own Bluetooth stack, in a virtual machine (not part of the other two)
	@scripts/setup.sh bluez
	@EDGE_TWIN_BLUEZ=required $(BIN)/python -m pytest -q -s -m bluez $(PYTEST_ARGS) tests/peers/test_bluez_vm.py

fuzz: setup-dev ## 60 s of fuzzing what reads bytes of a device (coverage-guided with the extra 'fuzz')
	@$(BIN)/python -m tests.fuzz.fuzz_ble --seconds 60

lint: setup-dev ## style (ruff)
	@echo "== style"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "not formatted: run 'make format'"; exit 1; }

types: setup-dev ## types (mypy, strict)
	@echo "== types"
	@$(BIN)/mypy

imports: setup-dev ## the import rule between the five packages
	@echo "== import rule"
	@$(BIN)/lint-imports --no-logo

format: setup-dev ## rewrites the code in the house style
	@$(BIN)/ruff check --quiet --fix --exit-zero .
	@$(BIN)/ruff format .

bench: setup-dev ## performance tables (they inform, they never fail)
	@set -e; for name in $(notdir $(basename $(wildcard tests/benchmarks/bench_*.py))); do echo "== $$name"; $(BIN)/python -m tests.benchmarks.$$name; done

distill: setup-dev ## rebuilds every shipped bundle (needs the extra 'distill'; tens of minutes)
	@set -e; for teacher in neutropenia aml; do \
	  $(BIN)/edge-twin distill $$teacher --method mechanistic --out $(BUNDLES)/$$teacher.etb; \
	  for method in course cycle; do \
	    $(BIN)/edge-twin distill $$teacher --method $$method --out $(BUNDLES)/$$teacher-$$method.etb; \
	  done; \
	done; \
	for builder in build_gcsf build_field build_emulator; do $(BIN)/python -m edge_twin_models.$$builder; done

wheel: setup-run ## the wheel, in dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean: ## removes caches, dist/ and out/
	@rm -rf dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	@find . -path ./.venv -prune -o -path ./.git -prune -o -type d -name __pycache__ -exec rm -rf {} +

distclean: clean ## the same, and .venv and the virtual machine of test-bluez
	@rm -rf .venv .bluez-vm

setup-run:
	@scripts/setup.sh run

setup-dev:
	@scripts/setup.sh dev
