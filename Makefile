# Two commands for a start: `make serve` and `make test`. Everything lives in $(VENV); nothing else is touched.

VENV ?= .venv
BIN := $(VENV)/bin
# Stamps say what is installed, so that a second `make serve` starts the server and does nothing else.
LOCKED := $(VENV)/.locked
LOCKED_DEV := $(VENV)/.locked-dev
LINKED := $(VENV)/.linked
BENCH := $(VENV)/.bench
PEERS := .venv-buildbot
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help serve install test bench soak check format lock dist clean

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

serve: $(LOCKED) $(LINKED) ## Install what is missing, then serve config.yaml, or config.example.yaml (ARGS="--port 9000")
	@exec $(BIN)/headgate serve $(ARGS)

install: $(LOCKED) $(LOCKED_DEV) $(LINKED) ## Install everything that tests and checks need

test: install ## Run all tests (ARGS="tests/git -x" runs some)
	$(BIN)/python -m pytest $(ARGS)

# Kills by the hundred and half an hour of mixed load: about an hour on two cores that have nothing else to do.
soak: install ## Run the long proofs of reliability, print what they found, write docs/benchmarks/soak.md
	HEADGATE_SOAK=1 $(BIN)/python -m pytest -s tests/reliability $(ARGS)

check: install ## Formatter, linter, types, import contracts, spelling, generated documents, locks: all, then the verdict
	@failed=; run() { echo "$$ $$*"; "$$@" || failed="$$failed\n  $$*"; }; \
	run $(BIN)/ruff format --check .; \
	run $(BIN)/ruff check .; \
	run $(BIN)/mypy; \
	run $(BIN)/lint-imports; \
	run $(BIN)/codespell; \
	for generator in docs/generate_*.py; do run $(BIN)/python $$generator --check; done; \
	run $(BIN)/python .ci/check_locks.py; \
	if [ -n "$$failed" ]; then printf "failed:$$failed\n" >&2; exit 1; fi

# Buildbot is a peer to measure beside: an environment of its own, and a row without figures where it does not install.
bench: install $(BENCH) ## Measure everything and write docs/benchmarks (ARGS="builds peers" some, ARGS=--compare only tells what moved)
	@test -x $(PEERS)/bin/buildbot || { echo "Installing Buildbot into $(PEERS)"; \
		$(BIN)/python -m venv $(PEERS) && $(PEERS)/bin/pip --disable-pip-version-check install --quiet buildbot buildbot-www buildbot-worker; } \
		|| echo "Buildbot cannot be installed here: its rows stay empty" >&2
	$(BIN)/python benchmarks/run.py $(ARGS)

format: install ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# uv is needed here only: installing the locked set takes nothing but pip.
lock: install ## Pin every dependency again after a change in pyproject.toml (ARGS=--upgrade takes the newest)
	$(PIP) install --quiet "uv>=0.9"
	$(COMPILE) $(ARGS) pyproject.toml --group dev -o requirements-dev.lock
	$(COMPILE) $(ARGS) pyproject.toml --group build -c requirements-dev.lock -o requirements.lock
	$(BIN)/python .ci/check_locks.py

dist: install ## Build the wheel and the source archive into dist/
	$(BIN)/python -m hatchling build

clean: ## Remove the environment and everything generated; your data/ stays
	rm -rf $(VENV) $(PEERS) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find core plugins tests docs benchmarks -name __pycache__ -prune -exec rm -rf {} +

# The first Python that is new enough; the version check runs it, because a name on PATH may be an empty promise.
$(BIN)/python:
	@for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Headgate needs Python 3.11 or newer, and none of python3, python3.11 to python3.14 is that." >&2; \
		echo "Install one, or say where it is: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	if ! $$found -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$found has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version)"; $$found -m venv $(VENV)

$(LOCKED): requirements.lock | $(BIN)/python
	@echo "Installing Headgate's dependencies into $(VENV) (only when they change)"
	@$(PIP) install --quiet --require-hashes -r requirements.lock
	@touch $@

$(LOCKED_DEV): requirements-dev.lock | $(LOCKED)
	@echo "Installing what the tests and checks need into $(VENV) (only when it changes)"
	@$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

$(BENCH): pyproject.toml | $(LOCKED_DEV)
	@echo "Installing what the plots need into $(VENV)"
	@$(PIP) install --quiet $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['dependency-groups']['bench'])")
	@touch $@

$(LINKED): pyproject.toml | $(LOCKED)
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
