# Takk: `make demo` shows it, `make test` tests it, `make help` lists all targets.
# Everything is created in .venv and .takk; `make clean` removes both.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Newer than the lock file while the environment is up to date: for running Takk, and for developing it.
RUNTIME := $(VENV)/.runtime
STAMP := $(VENV)/.installed
# Modules are compiled when they are first imported, which is quicker than compiling all of them now.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes
# Prints the part of the lock that some packages need.
LOCKED := $(PYTHON) -m streams.tools.local.requirements

FOR ?=
RATE ?= 5
DAY ?= 1s
ARGS ?=
CLOCK ?=
# The four workers of `make test`; tests/conftest.py defines the groups of tests that they run.
SIDE_BY_SIDE := -n 4
# Moves the wall clock of all processes of the tests to CLOCK.
WALL_CLOCK := .takk/wall_clock.so
AT_CLOCK = $(if $(CLOCK),TAKK_TEST_CLOCK_S=$$(($$(date -d "$(CLOCK)" +%s) - $$(date +%s))) LD_PRELOAD=$(CURDIR)/$(WALL_CLOCK))

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all check bench crash docs lock clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## Create the virtual environment from requirements.lock

$(STAMP): $(RUNTIME) requirements.lock pyproject.toml
	@echo "Installing the tools for tests and checks ..."
	@$(BIN)/python -m streams.tools.local.kafka.make_aot_cache & cache=$$!; $(PIP) -r requirements.lock && wait $$cache
	@touch $(STAMP)

# What Takk needs to run, which is all that the demo needs. Kafka is downloaded at the same time as the packages: jgo, which
# downloads it, is installed first.
$(RUNTIME): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Takk needs Python 3.11 or newer, but '$(PYTHON)' was not found. Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Takk needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V). Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Creating the environment in $(VENV) (once, about half a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Cannot create the virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@start=$$(date +%s); set -e; \
	$(LOCKED) jgo > $(VENV)/jgo.txt; $(PIP) --no-deps -r $(VENV)/jgo.txt; \
	$(BIN)/python -m streams.tools.local.kafka.jars & kafka=$$!; \
	echo "Python: installing the packages of requirements.lock ..."; \
	$(LOCKED) > $(VENV)/runtime.txt; $(PIP) --no-deps -r $(VENV)/runtime.txt; \
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	echo "Python: installed in $$(($$(date +%s) - start)) s."; \
	wait $$kafka || echo "Kafka could not be downloaded; Takk tries again when it starts the broker."
	@touch $(RUNTIME)

demo: $(RUNTIME) ## Run everything locally. FOR=60 closes the shop after 60 seconds, RATE=5 orders per second, DAY=1s is the length of a day
	@DAY=$(DAY) $(BIN)/takk demo --rate $(RATE) $(if $(FOR),--for $(FOR))

test: $(STAMP) $(if $(CLOCK),$(WALL_CLOCK)) ## Run the tests; ARGS="-k word" runs some, CLOCK="2028-02-29 12:00" runs them at that time
	$(AT_CLOCK) $(BIN)/python -m pytest $(or $(ARGS),$(SIDE_BY_SIDE))

$(WALL_CLOCK): tests/harness/wall_clock.c
	@mkdir -p $(@D)
	gcc -shared -fPIC -O1 -o $@ $< -ldl

test-all: $(STAMP) ## Run all tests: also the long ones, and four times as many examples of the property tests
	TAKK_ALL_EXAMPLES=1 $(BIN)/python -m pytest -m "" $(or $(ARGS),$(SIDE_BY_SIDE))

check: $(STAMP) ## Check formatting, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo

bench: $(STAMP) ## Run the benchmarks; writes .takk/bench/results.json
	$(BIN)/python -m tests.bench $(ARGS)

crash: $(STAMP) ## Run all tests and the crash campaign; ARGS="zombies --seed 7" runs some scenarios only
	$(if $(ARGS),,@$(MAKE) test-all)
	$(BIN)/python -m tests.crash $(ARGS)

docs: $(STAMP) ## Generate the reference pages and the dashboards in deploy/ from the code
	$(BIN)/python -m tests.unit.docs.reference
	$(BIN)/python -m deploy.grafana.builder

lock: ## Regenerate requirements.lock from pyproject.toml
	@test -x $(BIN)/pip-compile || { echo "run make venv first"; exit 1; }
	$(BIN)/pip-compile --quiet --allow-unsafe --extra=bucket --extra=demo --extra=dev --extra=gateway --generate-hashes --no-emit-find-links --no-emit-index-url --no-emit-trusted-host --output-file=requirements.lock --strip-extras pyproject.toml

clean: ## Remove the environment, the state and all caches
	rm -rf $(VENV) .takk .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
