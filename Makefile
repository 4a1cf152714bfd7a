# Set-up is part of every target: what is missing is installed first, into .venv and the user's cache.
PYTHON ?= python3
LAB := .venv/bin/lab

.PHONY: lab test bench set-up

lab: set-up
	@$(LAB) up
	@$(LAB) run

test: set-up
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy
	@PYTHONPATH=.:jobs .venv/bin/lint-imports
	@.venv/bin/pytest -n auto --maxprocesses 3 --no-loadscope-reorder --durations 15

bench: set-up
	@.venv/bin/python -m benchmarks

set-up:
	@$(PYTHON) -m toolchain
