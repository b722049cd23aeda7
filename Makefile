# Everything starts from here; `make` lists what there is. All of it lives in .venv and is removed by `make clean`.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help run test check format lint tidy imports mypy pyright bench soak docs lock clean

# The Python to build .venv with: the first of at least 3.11 on the path, or make run PYTHON=/path/to/python3.12
PYTHON ?=
# Test processes side by side, each with a PostgreSQL of its own; a third one fills the waits of the other two.
JOBS ?= 3
# What pytest gets besides: make test TESTS="tests/unit -k lease"
TESTS ?=
# The workflow that `make run` runs.
WORKFLOW ?= examples/digest/digest.yaml

# A caller's settings must not reach the environments that are built here.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV

venv := .venv
bin := $(venv)/bin
pip := -m pip --disable-pip-version-check --no-input --quiet --quiet install
pinned := --require-hashes --only-binary :all:
package := --no-deps --no-build-isolation --editable .

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(venv)/.runtime ## set up what running needs, and run the example workflow
	@$(bin)/aureus run $(WORKFLOW)

test: $(venv)/.dev ## set up what testing needs, a PostgreSQL included, and run all tests
	@$(bin)/python -m pytest --numprocesses=$(JOBS) --dist=worksteal $(TESTS)

check: format lint tidy imports mypy pyright ## check everything that needs no running: form, style, layers, types

format: $(venv)/.dev
	@echo "ruff format"
	@$(bin)/ruff format --check --quiet . || { echo "run: $(bin)/ruff format ."; exit 1; }

lint: $(venv)/.dev
	@echo "ruff check"
	@$(bin)/ruff check --quiet .

tidy: $(venv)/.dev
	@echo "house style"
	@$(bin)/python -m tools.tidy

imports: $(venv)/.dev
	@echo "import contracts"
	@$(bin)/lint-imports --no-logo > $(venv)/imports.log || { cat $(venv)/imports.log; exit 1; }

mypy: $(venv)/.dev
	@echo "mypy"
	@$(bin)/mypy --no-error-summary

pyright: $(venv)/.dev
	@echo "pyright"
	@$(bin)/basedpyright > $(venv)/pyright.log || { cat $(venv)/pyright.log; exit 1; }

bench: $(venv)/.dev ## measure speed, beside what is expected
	@$(bin)/python -m benchmarks

soak: $(venv)/.dev ## run the long tests, for minutes to hours
	@$(bin)/python -m pytest -m soak $(TESTS)

docs: $(venv)/.dev ## write the pages of docs/ that are made from the code
	@$(bin)/python -m tools.gen_settings_doc

lock: .venv-lock/.lock ## pin requirements/*.txt anew; UPGRADE=1 takes the newest versions
	@.venv-lock/bin/python tools/lock.py $(if $(UPGRADE),--upgrade)

clean: ## remove what these commands made, except data
	@rm -rf .venv .venv-lock .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(venv)/.made:
	@sh tools/make_venv.sh $(venv) $(PYTHON)

$(venv)/.runtime: $(venv)/.made requirements/runtime.txt requirements/build.txt pyproject.toml
	@echo "installing what running needs"
	@$(bin)/python $(pip) $(pinned) -r requirements/runtime.txt -r requirements/build.txt
	@$(bin)/python $(pip) $(package)
	@touch $@

$(venv)/.dev: $(venv)/.made requirements/dev.txt pyproject.toml
	@echo "installing what testing needs"
	@$(bin)/python $(pip) $(pinned) -r requirements/dev.txt
	@$(bin)/python $(pip) $(package)
	@touch $@ $(venv)/.runtime

.venv-lock/.lock: requirements/lock.txt
	@sh tools/make_venv.sh .venv-lock $(or $(PYTHON),python3.11)
	@.venv-lock/bin/python $(pip) $(pinned) -r requirements/lock.txt
	@touch $@
