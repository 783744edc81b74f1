# Each target prepares what it needs and is missing (see tools/setup.py); nothing has to be installed before,
# but python3 with venv, git and make.
.DEFAULT_GOAL := help
PYTHON3 ?= python3
export CONFIG ARGS PYTHON

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{ printf "%-18s %s\n", $$1, $$2 }'

.PHONY: migrate
migrate: ## migrate the sample site, or your own: CONFIG=my.yml (ARGS= for ansible-playbook)
	@$(PYTHON3) tools/migrate.py

.PHONY: test
test: ## run every gate, as continuous integration does
	@$(PYTHON3) tools/gate_runner.py all

.PHONY: lint unit conformance integration sanity molecule collection
lint: ## static checks of Python, Go, YAML and Ansible content
unit: ## unit tests of Python (every version that is here) and of Go
conformance: ## the same cases on the engine and on the fallback
integration: ## playbooks against this machine: check, run, check, run
sanity: ## ansible-test sanity
molecule: ## the molecule scenario of playbooks/migrate.yml
collection: ## build the collection and use it from an empty path
lint unit conformance integration sanity molecule collection:
	@$(PYTHON3) tools/gate_runner.py $@

.PHONY: acceptance
acceptance: ## tests that are too long for make test
	@$(PYTHON3) tools/setup.py test engine && .venv/bin/python -m pytest tests/acceptance $(ARGS)

.PHONY: benchmark
benchmark: ## compare engine and fallback with other tools
	@$(PYTHON3) tools/setup.py test engine && .venv/bin/python tests/benchmarks/run.py $(ARGS)

.PHONY: engine
engine: ## build the engine
	@$(PYTHON3) tools/setup.py engine

.PHONY: lock
lock: ## write the exact versions of requirements/*.txt anew
	@tools/lock.sh

.PHONY: clean
clean: ## remove everything that these commands made
	rm -rf build .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible
