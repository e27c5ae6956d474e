# Every target does its own set-up: a virtual environment in this folder, and
# what the target needs in it. `make help` lists the targets.

# A Python that can make virtual environments, 3.10 to 3.12.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' \
	2> /dev/null && echo $$p && break; done)
# Another version, or one from another index, with `make test TORCH=...`.
TORCH ?= 2.13.0
# Processes of the tests, and arguments for pytest: make test ARGS="-k metric".
WORKERS ?= 2
ARGS ?=
# Damaged inputs that `make fuzz` tries, and kills of `make faults`.
CASES ?= 10000
KILLS ?= 20

export PIP_DISABLE_PIP_VERSION_CHECK := 1

VENV := .venv
OFFICIAL := .venv-official
TRANSFORMERS4 := .venv-transformers4
TORCHVISION_DIR := .venv-torchvision
PYTEST = OMP_NUM_THREADS=1 $(1)/bin/python -m pytest -q -n $(WORKERS) \
	--dist loadfile -m "not slow" $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow fuzz faults lint docs docs-check \
	line-official line-torchvision line-transformers4 clean

help:  ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | \
	expand -t 28

define new_venv
	@test -n "$(PYTHON)" || { echo "No Python 3.10, 3.11 or 3.12 with the \
	venv module was found: install one, or name it with \
	make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(1)/bin/python || { echo "Making $(1) with $(PYTHON)"; \
	$(PYTHON) -m venv $(1); }
endef

$(VENV)/.installed: pyproject.toml setup.py
	$(call new_venv,$(VENV))
	@echo "Installing PyTorch $(TORCH) and mmrefseg into $(VENV)"
	$(VENV)/bin/python -m pip install -q torch==$(TORCH)
	$(VENV)/bin/python -m pip install -q -e ".[onedl,test,demo,photos]"
	@touch $@

install: $(VENV)/.installed  ## Make the environment .venv with everything in it

demo: $(VENV)/.installed  ## Train the nano model on synthetic scenes, test it, draw what it sees
	$(VENV)/bin/python demo/synthetic_demo.py $(ARGS)

test: $(VENV)/.installed  ## Run the test suite
	$(call PYTEST,$(VENV))

test-slow: $(VENV)/.installed  ## Run the few long tests that are left out of it
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q -n $(WORKERS) -m slow $(ARGS)

# Figures as JSON: work_dirs/reliability. What was wrong is kept there too.
RELIABILITY := work_dirs/reliability

fuzz: $(VENV)/.installed  ## Hand 10,000 damaged files and sentences to all readers
	OMP_NUM_THREADS=1 $(VENV)/bin/python tests/fuzz/run.py \
	--cases $(CASES) --out $(RELIABILITY)/fuzz.json \
	--keep $(RELIABILITY)/fuzz $(ARGS)

faults: $(VENV)/.installed  ## Kill training runs, fill the disk, take processes away
	OMP_NUM_THREADS=1 $(VENV)/bin/python tests/faults/run.py \
	--kills $(KILLS) --out $(RELIABILITY)/faults.json $(ARGS)

lint: $(VENV)/.installed  ## Check the style and the types of the code
	$(VENV)/bin/ruff check .
	$(VENV)/bin/isort --check-only --diff -q .
	$(VENV)/bin/codespell .
	$(VENV)/bin/mypy

docs: $(VENV)/.installed  ## Build the documents as a web site in build/docs
	$(VENV)/bin/python -m pip install -q -e ".[docs]"
	$(VENV)/bin/mkdocs build -q
	@echo "See build/docs/install/index.html"

docs-check: $(VENV)/.installed  ## Check the links and the paths in the documents
	$(VENV)/bin/python -m pytest -q tests/test_docs.py

# The official packages of OpenMMLab. Compiling mmcv takes about 12 minutes on
# 2 cores; it happens once. Its set-up needs pkg_resources: setuptools < 81.
MMCV_STAMP := $(OFFICIAL)/.mmcv-2.1.0-torch-$(TORCH)

$(MMCV_STAMP):
	$(call new_venv,$(OFFICIAL))
	$(OFFICIAL)/bin/python -m pip install -q "setuptools<81" wheel ninja \
	torch==$(TORCH)
	@echo "Compiling mmcv 2.1.0 (about 12 minutes on 2 cores)"
	$(OFFICIAL)/bin/python -m pip install -q --no-build-isolation mmcv==2.1.0
	@touch $@

$(OFFICIAL)/.installed: $(MMCV_STAMP) pyproject.toml setup.py
	$(OFFICIAL)/bin/python -m pip install -q mmengine==0.10.7 \
	mmsegmentation==1.2.2 ftfy regex "setuptools<81"
	$(OFFICIAL)/bin/python -m pip install -q --no-build-isolation \
	-e ".[test,demo]" "setuptools<81"
	@touch $@

line-official: $(OFFICIAL)/.installed  ## Run the tests with the official mmengine, mmcv and mmsegmentation
	@$(OFFICIAL)/bin/python -m pip list | grep -E \
	"^(mm|torch |transformers |numpy |opencv|pycocotools )"
	$(call PYTEST,$(OFFICIAL))

$(TRANSFORMERS4)/.installed: pyproject.toml setup.py
	$(call new_venv,$(TRANSFORMERS4))
	@echo "Installing PyTorch $(TORCH), transformers 4 and mmrefseg into" \
	"$(TRANSFORMERS4)"
	$(TRANSFORMERS4)/bin/python -m pip install -q torch==$(TORCH)
	$(TRANSFORMERS4)/bin/python -m pip install -q -e ".[onedl,test,demo,photos]" \
	transformers==4.57.6
	@touch $@

line-transformers4: $(TRANSFORMERS4)/.installed  ## Run the tests with transformers 4.57.6
	@$(TRANSFORMERS4)/bin/python -m pip list | grep -E \
	"^(onedl|torch |transformers |numpy |opencv|pycocotools )"
	$(call PYTEST,$(TRANSFORMERS4))

# The release that fits TORCH. Its operators do not load beside a PyTorch for
# CPUs, its transforms do (tests/conftest.py); so it lies outside of $(VENV).
TORCHVISION ?= 0.28.0
$(TORCHVISION_DIR)/.installed: $(VENV)/.installed
	$(VENV)/bin/python -m pip install -q --no-deps --upgrade \
	--target $(TORCHVISION_DIR) torchvision==$(TORCHVISION)
	@touch $@

line-torchvision: $(TORCHVISION_DIR)/.installed  ## Run the tests of SAM 2 and SAM 3, which need torchvision
	PYTHONPATH=$(TORCHVISION_DIR) OMP_NUM_THREADS=1 $(VENV)/bin/python -m \
	pytest -q tests/test_models/test_foundation tests/test_configs.py \
	-k "foundation or ready" $(ARGS)

clean:  ## Remove the environments, builds and caches, not data/ nor work_dirs/
	rm -rf $(VENV) $(OFFICIAL) $(TRANSFORMERS4) $(TORCHVISION_DIR) build dist *.egg-info \
	mmrefseg/.mim .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
