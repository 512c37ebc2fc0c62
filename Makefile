# What a person does with a checkout; `make` alone explains the targets.
# Needed: python3 (3.11 or newer), make and a package index. uv is installed into .venv-uv where there is none.
# `make test` also starts a real Elasticsearch and Cassandra: from Docker, or from Maven with Java 17 and 21+ (CONTRIBUTING.md).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# A uv on PATH counts only when it runs: a version manager's shim may stand for a version that is not there.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .venv-uv/bin/uv)
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup serve test check format bench soak docs lock wheel clean

help: ## explain the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make $(VENV) with what requirements.lock says (the others do it when needed)

serve: $(READY) ## start the server on port 8070, data under ./events
	@exec $(BIN)/eventserver serve

test: $(READY) ## run all tests on this Python, the quick ones on the other of 3.11 and 3.13 (ARGS="-k name" selects)
	@$(BIN)/python scripts/test.py $(ARGS)

check: $(READY) ## lint, format, types, import rule, lock file, schemas, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_lock.py
	$(BIN)/eventserver schemas check schemas
	$(BIN)/python scripts/docs.py --check

format: $(READY) ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure the server against its peers and ceilings (needs two cores)
	$(BIN)/python -m bench $(ARGS)

soak: $(READY) ## the long tests: kill, publish, power, models, fuzz, api, growth (hours; PART="kill power" selects)
	$(BIN)/python -m scripts.soak $(PART) $(ARGS)

docs: $(READY) ## write the generated reference pages again and check the links
	$(BIN)/python scripts/docs.py

lock: $(READY) ## write requirements.lock again after a change of pyproject.toml (ARGS=--upgrade takes newer releases)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header $(ARGS) \
		pyproject.toml --group dev --output-file requirements.lock

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python

clean: ## remove what the targets made (never the data)
	rm -rf .venv .venv-* dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml $(filter-out uv,$(UV))
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed and $(PYTHON) is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.13 ...")'
	@$(BIN)/python -c '' 2>/dev/null || { rm -rf $(VENV); \
		$(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV); }
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q backends eventserver
	@touch $@

# The version and the hashes are those of requirements.lock.
.venv-uv/bin/uv: requirements.lock
	$(PYTHON) -m venv --clear .venv-uv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv-uv/requirements.txt
	.venv-uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv-uv/requirements.txt
	@touch $@
