# Needs Python 3.13, and either redis-server/valkey-server on PATH or gcc and make. Everything else is installed into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
BIN := .venv/bin
UV := $(BIN)/uv pip
LOCK := $(UV) compile --quiet --python-version 3.13 --generate-hashes --no-header
export UV_PYTHON := $(BIN)/python
# Whatever the shell says: without bytecode every process compiles Django anew at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check fix bench lock smoke
help: ## list the commands
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/installed ## start Airdeck on this machine; Ctrl-C stops it
	@exec $(BIN)/python manage.py up

test: .venv/installed-dev ## every test; ARGS="-k name" picks some
	@bash console/tests/chromium.sh
	@$(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder --durations=10 --durations-min=30 $(ARGS)

smoke: .venv/installed ## start everything with requirements.txt alone, and stop it
	@$(BIN)/python -m console.tests.smoke

check: .venv/installed-dev ## lint, format, types, import rules, migrations, templates; changes nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py check --fail-level WARNING
	@$(BIN)/python manage.py check_templates

fix: .venv/installed-dev ## mend what can be mended by a machine
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: .venv/installed-dev ## measure; prints the table of docs/performance.md
	@$(BIN)/python -m console.bench

lock: .venv/installed ## pin requirements*.in anew
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt
	@$(LOCK) requirements-redis.in -o requirements-redis.txt

# --- Installation: again only when a requirements file changed.
.venv/bin/uv: requirements.txt
	@python=; for name in python3.13 python3 python3.14; do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Airdeck needs Python 3.13 or newer and none is on PATH: install it and run this again." >&2; exit 1; \
	fi; \
	[ -x $(BIN)/python ] || "$$python" -m venv .venv
	@awk '/^[a-z]/ {on = /^uv==/} on' requirements.txt > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@touch $@

.venv/installed: .venv/bin/uv requirements.txt requirements-redis.txt
	@$(UV) install --quiet --require-hashes -r requirements.txt
	@if ! command -v redis-server >/dev/null && ! command -v valkey-server >/dev/null; then \
		if ! command -v gcc >/dev/null && ! command -v cc >/dev/null; then \
			echo "Airdeck needs Redis: install redis-server or valkey-server, or gcc to build one, and run this again." >&2; \
			exit 1; \
		fi; \
		[ -e .venv/installed ] || \
			echo "Building Redis once, which takes about a minute (a redis-server on PATH would be used instead)."; \
		$(UV) install --quiet --require-hashes -r requirements-redis.txt; \
	fi
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	@$(UV) install --quiet --require-hashes -r requirements-dev.txt
	@touch $@
