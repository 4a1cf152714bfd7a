# Set-up is part of every target: what is missing is installed first, into .venv and the user's cache.
# The Python of .venv is kept once there is one; `make lab PYTHON=python3.12` chooses another.
PYTHON ?= $(shell test -x .venv/bin/python && echo .venv/bin/python || echo python3)
LAB := .venv/bin/lab
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.PHONY: lab test bench lock set-up

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

# Bring the locks in line with pyproject.toml (uv on PATH): hashes of every file, and no index's address.
lock:
	@uv pip compile -q pyproject.toml --group dev $(LOCK) -o requirements.txt
	@uv pip compile -q --group pyproject.toml:java $(LOCK) --no-annotate -o requirements-java.txt

set-up:
	@$(PYTHON) -m toolchain
