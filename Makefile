# Two commands do everything on a fresh Debian/Ubuntu machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Where PyTorch publishes CPU-only wheels; used on a machine without an NVIDIA GPU when pip's own sources have none.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu

# Modules of few scenes and no training.
QUICK := actions benchmarks component curriculum evaluate genesis_api kernel_replay random report rewards \
  robot_files robots safety scenes

.PHONY: help install demo check test test-slow conformance check bench bench-training bench-peers bench-scaling \
  bench-startup bench-solve build clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## Create .venv and install everything, pinned by constraints.txt

.venv/installed: pyproject.toml constraints.txt scripts/system_packages.sh scripts/install_torch.sh
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
	  { echo "Python 3.10 to 3.13 is needed; name one, such as: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@sh scripts/system_packages.sh $(PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@TORCH_CPU_INDEX="$(TORCH_CPU_INDEX)" sh scripts/install_torch.sh $(BIN)/python
	@echo "Installing genesis-gym and what it needs (about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install ## Train a Franka arm to reach, evaluate it, film it
	@$(BIN)/genesis-gym demo

test: install ## Run the checks and the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal

check: install ## Run the checks and the quick third of the tests: before every commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist worksteal $(QUICK:%=tests/test_%.py)

test-slow: install ## Run what takes long: learning, and every task where a few are telling
	$(BIN)/python -m pytest -m slow

conformance: install ## Install other people's libraries (conformance/README.md) and run them
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[conformance]'
	$(BIN)/python -m pytest conformance

bench: install ## Measure steps per second of every adapter beside raw Genesis
	$(BIN)/python benchmarks/step_rate.py

bench-training: install ## Measure training beside the environment alone
	$(BIN)/python benchmarks/training_rate.py

bench-peers: install .venv-peers/installed ## Measure steps per second beside other packages
	$(BIN)/python benchmarks/peers.py

bench-scaling: install ## Measure scaling with environments and cores
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/workers.py

bench-startup: install ## Measure the time to the first step and to a solved policy, warm and cold
	$(BIN)/python benchmarks/startup.py --solve

bench-solve: install .venv-peers/installed ## Measure the time to solve reach beside other packages
	$(BIN)/python benchmarks/time_to_solve.py

.venv-peers/installed: benchmarks/peers.txt constraints.txt scripts/install_torch.sh
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@TORCH_CPU_INDEX="$(TORCH_CPU_INDEX)" sh scripts/install_torch.sh .venv-peers/bin/python
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	@touch $@

build: install ## Build wheel and sdist, install each in isolation, import it
	sh scripts/check_build.sh $(BIN)/python

clean: ## Remove the environment and caches
	rm -rf .venv .venv-peers dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
