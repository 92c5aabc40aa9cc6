# Two commands: `make run` tells the whole story with the core alone; `make test` runs every test with every extra.
# Works from any folder and in a path with spaces: every recipe first goes to where this file lies.
HERE := $(shell dirname "$(strip $(MAKEFILE_LIST))")
GO := cd "$(HERE)" &&
PYTHON ?= python3
.DEFAULT_GOAL := run
.PHONY: run test lint format bench docs services clean

run:
	@$(GO) PYTHON="$(PYTHON)" sh tools/venv.sh core && .venv/bin/python examples/story.py

test:
	@$(GO) PYTHON="$(PYTHON)" sh tools/venv.sh all && sh tools/services.sh && sh tools/test.sh

lint:
	@$(GO) PYTHON="$(PYTHON)" sh tools/venv.sh all && PATH="$$PWD/.venv/bin:$$PATH" sh tools/lint.sh

format:
	@$(GO) .venv/bin/python -m ruff format . && .venv/bin/python -m ruff check --fix .

bench:
	@$(GO) PYTHON="$(PYTHON)" sh tools/venv.sh all && for b in bench/[a-z]*.py; do .venv/bin/python "$$b" || exit 1; done

docs:
	@$(GO) PYTHON="$(PYTHON)" sh tools/venv.sh all && .venv/bin/python -m zensical build

clean:
	@$(GO) rm -rf .venv .bench build dist site
