# Needs make and any Python from 3.9 on. Everything else is installed by console/installer.
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
# Where the packages go: into the checkout, or beside the state where the checkout cannot be written.
export VENV := $(shell if [ -w . ] || [ -e .venv/installed ]; then echo .venv; else echo "$${STATE_DIR:-.local}/venv"; fi)
BIN := "$$VENV/bin"
UV := $(BIN)/uv pip
LOCK := $(UV) compile --quiet --universal --python-version 3.12 --generate-hashes --no-header
# Whatever the shell says: without bytecode every process compiles Django again at each start.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH
ifneq ($(VENV),.venv)
export PYTHONPYCACHEPREFIX := $(VENV)-bytecode
endif

.PHONY: help run test test-quick check fix bench lock smoke fresh install install-dev
help: ## list the commands
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: install ## start Airdeck on this machine; Ctrl-C stops it
	@exec $(BIN)/python manage.py up

test: install-dev ## every test; ARGS="-k name" picks some, SKIP_BROWSER=1 skips those in a browser
	@$(BIN)/python -m console.tests.chromium
	@exec $(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder --durations=10 --durations-min=30 $(ARGS)

test-quick: install-dev ## the tests that start no Airflow, no browser and no console, and take a moment; ARGS as above
	@exec $(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not airflow and not browser and not system and not thorough" \
		--durations=10 --durations-min=2 $(ARGS)

smoke: install ## start everything with requirements.txt alone, and stop it
	@exec $(BIN)/python -m console.tests.smoke

check: install-dev ## lint, format, types, import rules, migrations, templates, words; changes nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports --no-cache
	@PYTHONPATH=cli/src $(BIN)/lint-imports --no-cache --config cli/pyproject.toml
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py check --fail-level WARNING
	@$(BIN)/python manage.py check_templates
	@$(BIN)/python manage.py check_words

fix: install-dev ## fix what a machine can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: install-dev ## measure; prints the table of docs/performance.md
	@exec $(BIN)/python -m console.bench

fresh: install-dev ## as root: try Airdeck on empty Debians, made by debootstrap in a temporary folder
	@exec $(BIN)/python -m console.tests.fresh $(ARGS)

lock: install ## pin requirements*.in again
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) -c requirements.txt requirements-production.in -o requirements-production.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt

# --- Installation: does nothing, in a moment, unless a requirements file changed.
PYTHONS := python3 python3.13 python3.12 python3.14 python3.11 python3.10 python3.9 /usr/bin/python3
INSTALL = for name in $(PYTHONS); do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then \
			exec "$$name" -m console.installer $(1); \
		fi; \
	done; \
	echo "Airdeck cannot be installed: no Python from 3.9 on is on PATH: install one (\`apt install python3\` on" \
		"Debian, \`dnf install python3\` on Fedora, \`pacman -S python\` on Arch)." >&2; \
	exit 1

install:
	@$(call INSTALL)

install-dev:
	@$(call INSTALL,--dev)
