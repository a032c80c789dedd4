# What a newcomer types. Every target makes its own environment in .venv: Python 3.11 or later, pip and make
# are enough (PYTHON=... chooses the interpreter); Node, which only the interoperability tests and benchmarks
# against ocpp-rpc need, and the TPM in software are installed through apt-get when root, else those tests skip
# and say so.

SHELL := /bin/bash
BIN := .venv/bin
# One more than there are processors: many a test waits for its peer.
export JOBS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 0
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check bench fuzz generate coverage coverage-report wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

demo: .venv/.apps  ## a central system and three stations, a cut link, a power loss, the bill
	$(BIN)/python -m ocpp_central.demo

test: .venv/.dev node tpm sslyze  ## the whole suite, with the core's coverage (100 % of lines and branches)
	$(BIN)/pytest -n $(JOBS) --dist worksteal --cov=ocpp_core --cov-branch --cov-report=term --cov-fail-under=100 $(PYTEST_ARGS)

check: .venv/.dev  ## format, lint, types, import contract, sizes, generated code, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_sizes.py
	$(BIN)/python tools/generate_messages.py --check
	$(BIN)/mkdocs build --strict --quiet

bench: .venv/.dev node tpm  ## ratios against mobilityhouse/ocpp and ocpp-rpc, written to docs/benchmarks.md
	$(BIN)/python -m benchmarks

fuzz: .venv/.fuzz  ## every fuzz target for FUZZ_SECONDS each
	$(BIN)/python tools/fuzz.py --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

generate: .venv/.dev  ## the message models and their strategies, from the official schemas
	$(BIN)/python tools/generate_messages.py

coverage: .venv/.dev node tpm sslyze  ## like test, with a browsable report in htmlcov/
	$(BIN)/pytest -n $(JOBS) --dist worksteal --cov=ocpp_core --cov-branch --cov-report=html $(PYTEST_ARGS)

coverage-report: .venv/.dev node tpm sslyze  ## the suite, and from what ran docs/requirements.md: which test proves which requirement
	rm -f .requirements.json
	OCPP_REQUIREMENTS=$(CURDIR)/.requirements.json $(BIN)/pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS); passed=$$?; \
	PYTHONPATH=tools $(BIN)/python -m requirements .requirements.json docs/requirements.md && exit $$passed

wheel: .venv/.dev node tpm sslyze  ## build dist/*.whl and run the suite against it in a clean environment
	tools/test_wheel.sh $(PYTEST_ARGS)

clean:  ## remove everything that the other targets made
	rm -rf .venv .wheel-venv build dist site htmlcov .requirements.json .coverage .coverage.* fuzz/findings tests/interop/node/node_modules
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: node tpm sslyze
node:
	@tools/node_packages.sh

tpm: .venv/.dev
	@tools/tpm_packages.sh

sslyze:
	@tools/sslyze.sh

# One stamp per kind of environment; a changed pyproject.toml brings it up to date.
.venv/.apps .venv/.dev .venv/.fuzz: .venv/.%: pyproject.toml tools/environment.sh
	tools/environment.sh $*
	@touch $@
