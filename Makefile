# Two commands: `make demo` shows the codec, `make test` checks it.
# Each sets up its virtual environment once; a stamp file says that it is current.
# `make test-slow` and `make test-browser` run what `make test` leaves out; `make test-all` runs the fast
# tests on each Python from 3.11 to 3.13 that is found.

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

FAST := -m "not slow and not browser"

.PHONY: demo test test-slow test-browser chromium test-fast test-all lint format benchmark clean

demo: $(RUN_STAMP)
	$(BIN)/python app.py

test: $(DEV_STAMP) lint
	$(BIN)/python -m pytest $(FAST)
	$(BIN)/python -m pytest tests/machines

# Not part of `make test`: they take long (CONTRIBUTING.md).
test-slow: $(DEV_STAMP)
	$(BIN)/python -m pytest -m slow

test-browser: $(DEV_STAMP) chromium
	$(BIN)/python -m pytest -m browser

test-fast: $(DEV_STAMP)
	$(BIN)/python -m pytest $(FAST)

test-all:
	set -e; for version in 3.11 3.12 3.13; do \
	  if python$$version -c "" 2>/dev/null; then \
	    $(MAKE) test-fast PYTHON=python$$version VENV=.venv-$$version; \
	  else echo "python$$version is not installed: left out"; fi; \
	done

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# IMAGES: the folder of Kodak's 24 images; makes every stored figure, table and chart anew. What is
# in POINTS already is not measured again. butteraugli_main is in Debian's libjxl-devtools.
POINTS ?= runs/kodak-points
benchmark: $(DEV_STAMP)
	$(BIN)/qann evaluate $(IMAGES) --out assets/benchmarks --points $(POINTS) --force \
		--model default fast --coder brotli prior --effort 0 8 --levels 32 64 128 256 \
		--peers jpeg webp avif avif-psnr avif-ssimulacra2 jpegxl --variants assumed --cost \
		--metrics psnr ssim ms_ssim ssimulacra2 butteraugli
	$(BIN)/python benchmarks/readme.py

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.txt pyproject.toml | $(VENV)/bin/pip
	$(BIN)/pip install --quiet -r requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

$(DEV_STAMP): $(RUN_STAMP)
	$(BIN)/pip install --quiet --editable ".[app,train,jxl,metrics,dev]"
	touch $@

# The browser tests use Debian's Chromium; where it is missing, it is installed.
chromium:
	command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium)

clean:
	rm -rf $(VENV) .venv-* build *.egg-info
