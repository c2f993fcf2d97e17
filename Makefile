# `make demo` and `make test` work from a fresh clone: both set up .venv first, once.
#
#   PYTHON=python3.12        interpreter to use (3.11 or newer)
#   TORCH=torch==2.13.0      what to install as PyTorch, before everything else
#   PIP_ARGS="--index-url …" passed to every pip install
#   PYTEST_ARGS="-k stream"  passed to pytest by `make test` and `make sweep`

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
            $(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
TORCH ?= torch==2.13.0
PIP_ARGS ?=
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint sweep clean

help:
	@echo 'make demo    train, compile, generate, simulate and build a bitstream; ends with a table'
	@echo 'make test    every test except the long randomized runs'
	@echo 'make lint    ruff and the import rules'
	@echo 'make sweep   the long randomized runs'
	@echo 'make setup   only the environment in $(VENV) (the other commands do it themselves)'
	@echo 'make clean   remove build results; keeps $(VENV)'

setup: $(STAMP)

# The tools that pip cannot bring. Each that is missing is named with the package that brings it.
$(STAMP): pyproject.toml
	@missing=''; \
	for tool in g++ make perl; do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	if [ -z "$(PYTHON)" ]; then missing="$$missing python(>=3.11)"; \
	elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  missing="$$missing python(>=3.11,not:$(PYTHON))"; \
	elif ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then missing="$$missing python-venv"; fi; \
	if [ -n "$$missing" ]; then \
	  echo "signfold needs, and cannot find:$$missing" >&2; \
	  echo '  Debian, Ubuntu:  apt-get install python3 python3-venv g++ make perl' >&2; \
	  echo '  Fedora:          dnf install python3 gcc-c++ make perl' >&2; \
	  echo '  macOS:           xcode-select --install, and Python from python.org or Homebrew' >&2; \
	  echo '  another Python:  make PYTHON=python3.12 ...' >&2; \
	  exit 1; \
	fi
	@echo 'setting up $(VENV), once: a few minutes, mostly downloads'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q $(PIP_ARGS) '$(TORCH)'
	$(BIN)/python -m pip install --disable-pip-version-check -q $(PIP_ARGS) -e '.[all,dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

sweep: $(STAMP)
	$(BIN)/python -m pytest -m sweep $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/lint-imports

clean:
	rm -rf build dist runs .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +
