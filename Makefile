# kraken-fleet: what a developer or a newcomer types. `make` alone says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
# There when the demo can run, which needs a fifth of the packages.
RUNS := $(VENV)/.runs
# Tests in as many processes as tests/conftest.py says; `make test WORKERS=0` runs them one after another. A process that
# has no more tests takes some of another one's: the long ones are all at the end.
WORKERS ?= auto
# Which tests; the default is all that need neither root nor Docker. `make test TESTS=tests/unit/bundle`
TESTS ?=
# More options of pytest. CI gives `--reruns 1 --again-file=FILE`: it names each test that passed only the second time.
AGAIN ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup lock lowest demo test test-browser test-real molecule sanity integration galaxy check docs format wheel release screenshots clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
	  printf '  make %-10s %s\n' "$$name" "$$text"; done

setup: $(STAMP) ## A virtual environment in .venv with everything in it

PIP := $(BIN)/python -m pip install --quiet
# Where a mirror of packages lacks a pinned file, `make setup PINNED=no` takes the newest versions that pyproject.toml
# allows, and looks at no hashes.
PINNED ?= yes
ifeq ($(PINNED),no)
INSTALL_DEMO = $(PIP) --upgrade 'pip>=25.1' && $(PIP) --editable '.[server]' --group checkout
INSTALL_ALL = $(PIP) --editable '.[all]' --group dev
else
# Everything is installed as requirements/ has it: nothing whose hash is another one, and nothing that is built here.
# This checkout is installed with what is there then: pip would fetch the tools that build it without looking at hashes.
PINS = { $(PIP) --no-deps --only-binary :all: --require-hashes --requirement requirements/$(1).txt || \
  { echo "What is pinned in requirements/ could not be installed; see above. Where a mirror lacks a file:" \
         "make setup PINNED=no" >&2; exit 1; }; }
INSTALL_DEMO = $(call PINS,demo) && $(PIP) --no-deps --no-build-isolation --editable .
INSTALL_ALL = $(call PINS,dev)
endif

# Made again when the list of dependencies changes. A half-made environment has no stamp and is begun anew.
$(RUNS): pyproject.toml requirements/demo.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kraken-fleet needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	         "Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "Making $(VENV)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "Installing kraken-fleet into $(VENV): half a minute the first time"
	@$(INSTALL_DEMO)
	@touch $@

$(STAMP): $(RUNS) $(wildcard requirements/*.txt) tests/windows_collection.py tests/kraken_client.py
	@echo "Installing its tests and tools into $(VENV): a minute the first time"
	@$(INSTALL_ALL)
	@$(BIN)/python tests/windows_collection.py
	@$(BIN)/python tests/kraken_client.py
	@touch $@

# `make lock` keeps the versions that still do; `make lock LOCK=--upgrade` takes the newest.
LOCK ?=
UV := $(PIP) --require-hashes --requirement requirements/uv.txt && $(BIN)/uv pip compile --quiet
PIN := $(UV) --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' $(LOCK)

lock: $(STAMP) ## Pin what pyproject.toml asks for, with hashes, in requirements/
	@$(PIN) pyproject.toml --extra all --group dev --output-file requirements/dev.txt
	@$(PIN) pyproject.toml --extra server --group checkout --constraint requirements/dev.txt --output-file requirements/demo.txt
	@$(PIN) --group kkci --output-file requirements/kkci.txt
	@$(PIN) --group galaxy --output-file requirements/galaxy.txt
	@$(PIN) --group uv --output-file requirements/uv.txt
	@$(PIN) --group windows --no-deps --output-file requirements/windows.txt

LOWEST := build/lowest
lowest: $(STAMP) ## Quick tests with the lowest versions that pyproject.toml allows
	@mkdir -p build
	@$(UV) pyproject.toml --extra all --group test --resolution lowest-direct --no-header --output-file $(LOWEST).txt
	@rm -rf $(LOWEST) && $(BIN)/python -m venv $(LOWEST)
	@$(LOWEST)/bin/python -m pip install --quiet --requirement $(LOWEST).txt hatchling editables
	@$(LOWEST)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(LOWEST)/bin/python -m pytest -q -n $(WORKERS) $(or $(TESTS),tests/unit/api tests/unit/plan tests/unit/cli tests/unit/web tests/unit/server)

demo: $(RUNS) ## Watch it work: a server, three hosts, agents, a job on each agent; then all is removed
	@$(BIN)/kraken-fleet lab demo

test: $(STAMP) ## All tests that this machine can run without root and without Docker
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(AGAIN) \
	  -m 'not docker and not lxd and not real_server and not browser and not prometheus' $(TESTS)

test-browser: $(STAMP) ## The console in the system's Chromium, on the embedded server
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(AGAIN) -m 'browser and not real_server' tests/browser

# These tests mostly wait: for hosts that boot, for jobs, for each other's engines. The long ones are begun first.
test-real: $(STAMP) ## As root: all tests with Docker, LXD, a browser and the real Kraken server; installs what they need
	@$(BIN)/python tests/prepare_real.py
	@failed=(); \
	  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest --real-server -n 2 --dist loadfile --no-loadscope-reorder \
	    $(AGAIN) --durations=20 -m 'docker or lxd or real_server or browser or prometheus' \
	    $(or $(TESTS),tests/e2e tests/browser tests/contract tests/unit) || failed+=(pytest); \
	  $(MAKE) --no-print-directory molecule || failed+=(molecule); \
	  (( $${#failed[@]} == 0 )) || { echo "Failed: $${failed[*]}" >&2; exit 1; }

# Two scenarios at a time; what one says is shown when it is over, and only when it failed. Molecule's own --workers
# wants one set of hosts for all scenarios.
molecule: $(STAMP) ## As root: every role on lab hosts; one of them: make molecule SCENARIO=kraken_agent
	@mkdir -p build/molecule
	@printf '%s\n' $(or $(SCENARIO),$(patsubst extensions/molecule/%/molecule.yml,%,$(wildcard extensions/molecule/*/molecule.yml))) | \
	  PATH="$(CURDIR)/$(BIN):$$PATH" xargs -P 2 -I NAME $(SHELL) -c 'log=build/molecule/NAME.log; SECONDS=0; \
	    if molecule test --scenario-name NAME >$$log 2>&1 </dev/null; then echo "molecule: NAME passed in $$SECONDS s"; \
	    else cat $$log; echo "molecule: NAME failed after $$SECONDS s" >&2; exit 1; fi'

sanity: $(STAMP) ## Ansible's own tests of a collection: ansible-test sanity, whole
	@PATH="$(CURDIR)/$(BIN):$$PATH" tests/sanity.sh

integration: $(STAMP) ## Ansible's own way to test modules: ansible-test integration, on the loopback network
	@tests/integration.sh

galaxy: $(STAMP) ## What Ansible Galaxy says of the tarball when it is uploaded
	@$(BIN)/python tests/galaxy_importer.py

check: $(STAMP) ## Style, types, import rules, Ansible and YAML
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; failed=(); \
	  for each in 'ruff check .' 'ruff format --check .' mypy 'lint-imports --no-cache' \
	    'ansible-lint --offline --profile production' 'yamllint --strict .' 'antsibull-changelog lint' 'python docs/generate.py --check'; do \
	    echo "== $$each"; $$each || failed+=("$${each%% *}"); \
	  done; \
	  (( $${#failed[@]} == 0 )) || { echo "Failed: $${failed[*]}" >&2; exit 1; }

docs: $(STAMP) ## Write the tables in READMEs, the arguments of modules on hosts, and make the site
	@$(BIN)/python docs/generate.py
	@$(BIN)/python docs/reference.py
	@$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --doctree-dir build/doctrees docs build/site
	@echo 'The site: build/site/index.html'

format: $(STAMP) ## Let ruff put the source into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

screenshots: $(STAMP) ## Pictures of every page of the console, into docs/screenshots; needs Chromium
	@$(BIN)/python -m tests.browser.screenshots docs/screenshots

wheel: $(STAMP) ## Build dist/*.whl, which carries the library, the agent and the Ansible collection
	@rm -rf dist
	@$(BIN)/python -m build --wheel --outdir dist . >/dev/null
	@ls -l dist

VERSION ?=
KEY ?=
release: $(STAMP) ## All files of a release in build/release, made twice and compared; publishes nothing: VERSION=0.2.0 KEY=ssh-key
	@mkdir -p build
	@$(PIN) pyproject.toml --extra all --constraint requirements/dev.txt --no-header --output-file build/runtime.txt
	@$(BIN)/python release/build.py --requirements build/runtime.txt $(if $(VERSION),--version $(VERSION)) $(if $(KEY),--key $(KEY))

clean: ## Remove labs, the environment and all that was built
	@if test -x $(BIN)/kraken-fleet; then $(BIN)/kraken-fleet lab down --all; fi
	@rm -rf $(VENV) .lab .nox build dist docs/reference .ansible .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
