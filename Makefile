# Each target does its own set-up; a second run of it costs a second.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-matrix lint format bench package docs reference lock clean

PYTHON := .venv/bin/python
WORKERS ?= 2

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup:  ## QGIS, the engine's environment and the tools; TORCH_BACKEND=auto|cpu|cu130|...
	@scripts/setup.sh

demo: setup  ## A land-cover map of a made-up scene, or with INPUT=my.tif MODEL=my.safetensors of your image
	$(PYTHON) -m scripts.demo $(if $(INPUT),--input "$(INPUT)") $(if $(MODEL),--model "$(MODEL)")

test: setup  ## All tests
	@scripts/test.sh $(WORKERS)

test-matrix:  ## Plugin and end-to-end tests on the QGIS of other Debian releases; RELEASES="trixie sid"
	@scripts/matrix.sh $(WORKERS)

lint: setup  ## Style, types and the security rules of the QGIS plugin repository
	@scripts/lint.sh

format: setup  ## Bring the sources into the project's format
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

bench: setup  ## Speed and memory of classification and training, as tables
	PYTHONPATH=$(CURDIR) $(PYTHON) benchmarks/classify.py $(ARGS)
	PYTHONPATH=$(CURDIR) $(PYTHON) benchmarks/train.py $(TRAIN_ARGS)

package: setup  ## The zip for QGIS, in dist/
	$(PYTHON) scripts/package.py

docs:  ## The documentation, in site/
	@scripts/docs.sh

reference: setup  ## The pages of the reference, from the code
	$(PYTHON) -m scripts.reference_commands
	.venv-qgis/bin/python -m scripts.reference_algorithms

lock: ## Resolve resources/requirements/*.in anew
	scripts/lock.sh

clean:  ## Remove everything that was made
	rm -rf .venv .venv-qgis .venv-docs .tools build dist demo site .pytest_cache .mypy_cache .ruff_cache
	find engine flair_qgis tests scripts benchmarks -name __pycache__ -prune -exec rm -rf {} +
