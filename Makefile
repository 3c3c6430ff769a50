# One virtual environment in .venv, installed once and again whenever what it is made from changes.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test test-slow lint format bench constraints clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## the environment alone: then `.venv/bin/orchestrator --help`

demo: $(VENV)/.installed ## the demonstration study, from making its images to its report
	@$(BIN)/orchestrator run studies/demo.yaml

# Two processes, each with one thread: on two cores that is the fastest, and a file's tests share what they set up.
test: $(VENV)/.installed-test ## the fast tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

# Exit code 5 means that no test is marked slow.
test-slow: $(VENV)/.installed-test ## the tests that take minutes: killed processes, servers, whole studies
	@$(BIN)/python -m pytest -m slow || [ $$? -eq 5 ]

lint: $(VENV)/.installed-test ## style, types, and which room may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.installed-test ## let ruff rewrite what `make lint` would refuse
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(VENV)/.installed-test ## the figures this project claims about its speed
	@$(BIN)/python -m benchmarks

constraints: $(VENV)/.installed-test ## pin in constraints.txt what is installed now
	@sed -n '/^#/p' constraints.txt > $(VENV)/constraints.txt
	@$(PIP) freeze --all --exclude-editable | grep -vE '^(#|pip==|nvidia-|cuda-)' \
	    | tr 'A-Z_' 'a-z-' | LC_ALL=C sort -t= -k1,1 >> $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt

clean: ## caches and build leftovers; the environment, data and results stay
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing into $(VENV). The first time this takes minutes: PyTorch alone is gigabytes."
	@$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing into $(VENV), with the test tools. The first time this takes minutes: PyTorch alone is gigabytes."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $(VENV)/.installed $@

# Debian's Python may lack ensurepip (package python3-venv): then the system's pip puts pip into an empty environment.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." \
	         "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	    $(PYTHON) -m venv --without-pip $(VENV) && \
	    $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check --no-input install --quiet pip; }
	@touch $@
