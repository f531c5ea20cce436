# `make` says what there is. Everything runs in .venv, which `make setup` makes and keeps up to date.
PORT ?= 8000
TESTS ?= tests
JOBS ?= 2
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench audit vendor lock wheel wheel-smoke clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: ## install what is missing: PostGIS, .venv, the locked dependencies, development tools
	@.ci/setup

demo: ## set up what the service needs, and serve the demonstration city (PORT=8000)
	@.ci/setup --service
	@exec $(BIN)/gridmap up --demo --port $(PORT)

test: ## run all tests (TESTS=tests/gridmap for some of them, JOBS=2 at a time)
	@.ci/setup --test
# Compiled modules are kept whatever the environment says: anew, each process takes 12 s for those with tests alone.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest \
	    --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: setup ## ruff, mypy, import-linter, scripts, vendored files, what must not be in the repository
	@.ci/check

bench: ## print the figures that the project promises, each beside its limit
	@.ci/setup --test
	@set -e; for bench in tests/bench/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench; done

audit: setup ## ask the vulnerability database about every locked dependency (needs the network)
	@.ci/audit

vendor: setup ## fetch the pages' libraries again and compare them with what is in the tree
	@$(BIN)/python -m api.pages.vendor

lock: setup ## resolve requirements.lock anew from pyproject.toml (needs the network)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --extra dev \
	    --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock

wheel: setup ## build the wheel into dist/
	@rm -rf dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null
	@ls dist

wheel-smoke: ## install the wheel in an environment of its own and try it
	@.ci/setup --test
	@.ci/wheel-smoke

clean: ## remove caches and built files; keeps .venv and .gridmap
	@rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-artifacts
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
