# Everything sets itself up in .venv; nothing but Python 3.11+, make and a package index is needed.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint types wheel eval-docs bench clean

demo: .demo/published
	@$(BIN)/promptlib --project .demo build banking/intent@production "My card was stolen in Lisbon, please stop it!" --explain

test: .venv/dev .venv/model
	@# Each process has a core: pools of threads beside each other only spin.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

wheel: .venv/dev
	PYTHON=$(PYTHON) BUILD=$(BIN)/python sh .ci/prove-wheel

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/offline: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Setting up .venv (a few minutes the first time) ..."
	@$(INSTALL) torch
	@$(INSTALL) --editable '.[offline]'
	@touch $@

.venv/dev: .venv/offline
	@$(INSTALL) --editable '.[offline,dev]'
	@touch $@

.venv/model: .venv/dev
	@PROMPTLIB_CACHE=.venv/cache $(BIN)/promptlib model fetch
	@touch $@

.demo/published: .venv/offline
	@test -f .demo/promptlib.toml || $(BIN)/promptlib init .demo
	@$(BIN)/promptlib --project .demo template publish --all --message "as they come" --label production
	@touch $@

# What a small language model makes of each strategy, for docs/models.md: kept answers are not asked
# again. DATA=FOLDER has all five sets, QUERIES=20 asks a few of this checkout's, and leaves the guide alone.
eval-docs: .venv/model
	PROMPTLIB_CACHE=.venv/cache $(BIN)/python benchmarks/models.py $(if $(DATA),--data $(DATA)) $(if $(QUERIES),--queries $(QUERIES))

# promptlib beside LangChain, LlamaIndex, DSPy and Chroma, which get an environment of their own.
bench: .venv/dev .bench/done
	$(BIN)/python benchmarks/compare.py $(if $(QUICK),--quick)

.bench/done: benchmarks/peers/requirements.txt
	@echo "Setting up .bench, what promptlib is compared with (some minutes) ..."
	@$(PYTHON) -m venv .bench
	@.bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clean:
	rm -rf .venv .bench .demo build dist *.egg-info
