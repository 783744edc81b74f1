# Each target prepares what it needs and is missing (see tools/setup.py); nothing has to be installed before,
# but python3 with venv, git and make.
.DEFAULT_GOAL := help
PYTHON3 ?= python3
export CONFIG ARGS PYTHON

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{ printf "%-18s %s\n", $$1, $$2 }'

.PHONY: migrate
migrate: ## migrate the sample site, or your own: CONFIG=my.yml (ARGS= for ansible-playbook)
	@$(PYTHON3) tools/migrate.py

.PHONY: test
test: ## run every gate, as continuous integration does
	@$(PYTHON3) tools/gate_runner.py all

.PHONY: lint unit conformance integration remote sanity molecule collection builds
lint: ## static checks of Python, Go, YAML and Ansible content
unit: ## unit tests of Python (every version that is here) and of Go
conformance: ## the same cases on the engine and on the fallback
integration: ## playbooks against this machine: check, run, check, run
remote: ## playbooks against hosts that are reached by ssh (as root or with sudo)
sanity: ## ansible-test sanity
molecule: ## the molecule scenario of playbooks/migrate.yml
collection: ## build the collection and use it from an empty path
builds: ## the engine for every platform, twice: same bytes, within the limits of size
lint unit conformance integration remote sanity molecule collection builds:
	@$(PYTHON3) tools/gate_runner.py $@

.PHONY: acceptance
acceptance: ## tests that are too long for make test
	@$(PYTHON3) tools/setup.py test engine && .venv/bin/python -m pytest tests/acceptance $(ARGS)

.PHONY: benchmark
benchmark: ## compare engine and fallback with other tools
	@$(PYTHON3) tools/setup.py test engine && .venv/bin/python tests/benchmarks/run.py $(ARGS)

.PHONY: engine engine-all
engine: ## build the engine for this machine
	@$(PYTHON3) tools/setup.py engine
engine-all: ## build the engine for linux, darwin and windows, each for amd64 and arm64
	@$(PYTHON3) tools/setup.py engines

.PHONY: package
package: ## build the collection's archive, with the engine's sources in it, below build
	@$(PYTHON3) tools/setup.py run && .venv/bin/python tools/package.py

.PHONY: lock
lock: ## write the exact versions of requirements/*.txt anew
	@tools/lock.sh

.PHONY: clean
clean: ## remove everything that these commands made
	@test ! -d build/hosts || rm -rf build/hosts 2>/dev/null || sudo rm -rf build/hosts
	rm -rf build .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible
