# Entry points; the work itself is in tools/. `make help` lists them.

PYTHON := .venv/bin/python3

.DEFAULT_GOAL := help
.PHONY: help demo test check build bench fuzz soak test-unit test-kernel test-vm clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## install what is needed, build, and run a real project's tests in a sandbox
	@tools/setup-build.sh
	@tools/build.sh
	@demo/run

test: ## install what the tests need and run all of them, in every identity
	@tools/setup-test.sh
	@tools/setup-vm.sh
	@tools/build.sh
	@$(PYTHON) tools/run_tests.py

check: ## lint, types, C warnings, generated files
	@tools/setup-build.sh
	@tools/build.sh
	@tools/check.sh

build: ## compile the launcher into the package
	@tools/setup-build.sh
	@tools/build.sh

bench: build ## measure start-up against the other runtimes of this machine
	@tools/setup-peers.sh
	@$(PYTHON) -m bench.compare --memory --page docs

fuzz: build ## mutate launch plans under sanitizers
	@tools/setup-test.sh
	@$(PYTHON) tools/fuzz.py --coverage

soak: build ## many containers, for long, with kills: nothing may be left over
	@$(PYTHON) tools/soak.py
	@$(PYTHON) tools/cycles.py
	@$(PYTHON) tools/kills.py

test-unit: build ## only the tests that need no privilege and no kernel feature
	@$(PYTHON) tools/run_tests.py --only unit

test-kernel: build ## only the tests with real sandboxes on this machine
	@tools/setup-test.sh
	@$(PYTHON) tools/run_tests.py --only kernel

test-vm: build ## only the kernel tests in the virtual machine
	@tools/setup-vm.sh
	@$(PYTHON) tools/run_tests.py --only vm

clean: ## remove what the build made
	rm -rf build build-* dist src/nucleus/libexec
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
