# Psyche's commands. Each does all of its own set-up; `make run` and `make test` are all you need.
#
#   TORCH=1      install torch and diffusers as well (gigabytes) and run the tests that need them
#   NO_SKIP=1    fail where a test would be skipped (what CI does)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := setup.cfg pyproject.toml constraints.txt
ARGS ?=

.DEFAULT_GOAL := run
.PHONY: run test setup check format bench clean system

run: $(VENV)/.run
	@$(BIN)/python -m server $(ARGS)

setup: $(VENV)/.test node_modules/.installed system

test: setup check
	@PSYCHE_NO_SKIP=$(NO_SKIP) sh tests/run.sh $(ARGS)

# Lint, format, types and import rules, in Python and in JavaScript.
check: $(VENV)/.test node_modules/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm run --silent lint
	npm run --silent types
	npm run --silent vendor:check

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test
	@$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) node_modules build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Psyche needs Python 3.11 or newer; PYTHON=/path/to/python3.11 make run"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq python3-venv; } || \
		{ echo "Python's venv module is missing; on Debian: sudo apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(SOURCES) | $(VENV)/bin/python
	@echo "Setting up $(VENV) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(SOURCES) | $(VENV)/bin/python
	@echo "Setting up $(VENV) with the test tools ..."
ifeq ($(TORCH),1)
	@$(PIP) --editable '.[test,bench,diffusion]'
else
	@$(PIP) --editable '.[test,bench]'
endif
	@touch $@ $(VENV)/.run

ifeq ($(TORCH),1)
# Torch may be asked for after the rest was set up without it.
$(VENV)/.test: $(VENV)/.torch
$(VENV)/.torch: constraints.txt | $(VENV)/bin/python
	@touch $@
endif

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || { echo "Psyche's tests need Node 20 or newer with npm"; exit 1; }
	@npm ci --silent --no-audit --no-fund
	@touch $@

# A browser for the browser tests: installed where we may, told of where we may not.
system:
	@sh tests/browser/install.sh
