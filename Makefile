# The commands of Obmen. `make help` lists them.
PYTHON ?= python3
PY := .venv/bin/python
BIN := .venv/bin
# A process for each core; a file's tests stay together, for they share databases of the bench, brokers and servers.
PYTEST := $(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder
.DEFAULT_GOAL := help

.PHONY: help demo test check bench run format translations pictures
help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

.venv/base: requirements/base.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/it …"; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(PY) -m compileall -q src
	touch $@

.venv/dev: requirements/dev.lock .venv/base
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	touch $@

demo: .venv/base ## start a hub with sandbox partners, do a full exchange, leave the web page open
	$(BIN)/obmen demo $(DEMO_ARGS)

run: .venv/base ## start the hub on this machine (data in .obmen)
	OBMEN_HOME=$${OBMEN_HOME:-.obmen} $(BIN)/obmen init
	OBMEN_HOME=$${OBMEN_HOME:-.obmen} $(BIN)/obmen serve

test: .venv/dev ## every test, on SQLite and on PostgreSQL
	$(PYTEST) $(TESTS)
	OBMEN_TEST_ON=postgresql $(PYTEST) $(TESTS) tests/core tests/store tests/work tests/connectors tests/web tests/system

check: .venv/dev ## format, lint, types, rings, migrations, translations: in seconds
	$(BIN)/ruff format --check src packages tests bench tools
	$(BIN)/ruff check src packages tests bench tools
	$(BIN)/mypy
	$(BIN)/lint-imports
	OBMEN_HOME=.obmen-check DJANGO_SETTINGS_MODULE=obmen.settings $(PY) -m django makemigrations --check --dry-run
	$(PY) -m pytest tests/test_translations.py -k "not page"

format: .venv/dev ## put the code into its format
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix src tests bench

bench: .venv/dev ## measure: ratios in one run, both databases
	$(PY) bench/run.py

translations: .venv/dev ## collect the sentences to translate, compile what is translated
	OBMEN_HOME=.obmen-check DJANGO_SETTINGS_MODULE=obmen.settings $(PY) tools/translations.py

pictures: .venv/dev ## make the pictures of the docs anew: the user guide, and every page, desktop and phone, light and dark
	$(PY) docs/user/pictures.py
