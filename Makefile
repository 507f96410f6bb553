# The targets of the repository. Needed beforehand: git, GNU make, and Python 3.12 or newer.
# Everything is installed into .venv; no environment has to be active.

VENV  := .venv
PY    := $(VENV)/bin/python
READY := $(VENV)/.ready

# More arguments for pytest or the benchmarks: make test ARGS="-k pigs -x"
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-all lint bench bench-setup lock notebook clean

help:  ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## create .venv with the locked packages and hier itself

demo: $(READY)  ## fit the pigs, compare, and write runs/pigs (a second call replaces it)
	$(VENV)/bin/hier run models/pigs.toml --out runs/pigs --force

# All tests of a file run in one process, which makes the fits that they share once.
test: $(READY)  ## run the tests without the slow ones and those for a GPU
	$(PY) -m pytest -n 2 --dist loadfile -m "not slow and not gpu" $(ARGS)

test-all: $(READY)  ## run every test; those for a GPU skip themselves where there is none
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(READY)  ## check style, formatting and types
	@failed=; \
	for check in "ruff check ." "ruff format --check ." pyright; do \
	    echo "$$check"; $(VENV)/bin/$$check || failed="$$failed$${failed:+, }$$check"; \
	done; \
	[ -z "$$failed" ] || { echo "make lint: failed: $$failed" >&2; exit 1; }

bench: $(READY)  ## run the benchmarks
	$(PY) -m benchmarks $(ARGS)

bench-setup: $(READY)  ## create .venv-peers with the programs that the benchmarks compare with
	$(PY) -m venv --without-pip .venv-peers
	@set -e; $(find_uv); \
	"$$uv" pip install --quiet --python .venv-peers/bin/python --requirements benchmarks/requirements-peers.txt

lock: $(READY)  ## resolve requirements.lock anew, to the newest versions
	@set -e; $(find_uv); \
	"$$uv" pip compile pyproject.toml --extra dev --universal --python-version 3.12 --upgrade --quiet \
	    --no-annotate --no-header --output-file requirements.lock
	@echo "requirements.lock is up to date; \`make setup\` installs it"

notebook: $(READY)  ## execute every notebook in place
	$(VENV)/bin/jupyter-execute --inplace notebooks/*.ipynb

clean:  ## remove .venv, caches and builds (runs/ stays)
	rm -rf $(VENV) .venv-peers build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- how .venv comes about -------------------------------------------------------------------------------

# uv from the path, or else the one in .venv, put there by pip.
define find_uv
uv=$$(command -v uv || true); \
if [ -z "$$uv" ] || ! "$$uv" --version >/dev/null 2>&1; then \
    uv=$(VENV)/bin/uv; \
    if [ ! -x "$$uv" ]; then \
        $(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip --upgrade >/dev/null; \
        $(PY) -m pip install --quiet --disable-pip-version-check uv; \
    fi; \
fi
endef

# Every candidate is asked for its version by running it: a name on the path can be a shim that only fails.
# pyenv's shims obey PYENV_VERSION, so each name is tried with that variable and without it (then
# .python-version decides), and at last the interpreters that pyenv keeps.
define find_python
python=; seen=; \
ask='import sys; print("%d.%d.%d|%s" % (sys.version_info[:3] + (sys.executable,)))'; \
probe() { \
    [ -z "$$python" ] || return 0; \
    [ -n "$$1" ] && command -v "$$1" >/dev/null 2>&1 || return 0; \
    for unset in "" "-u PYENV_VERSION"; do \
        answer=$$(env $$unset "$$1" -c "$$ask" 2>/dev/null </dev/null) || answer=; \
        case "$${answer%%|*}" in \
            3.1[2-9].*|3.[2-9][0-9].*) python=$${answer#*|}; version=$${answer%%|*}; return 0 ;; \
            "") found="does not run" ;; \
            *) found="is Python $${answer%%|*}" ;; \
        esac; \
    done; \
    seen="$$seen    $$1 $$found\n"; \
}; \
probe "$(PYTHON)"; \
for name in python3.12 python3.13 python3.14 python3 python; do probe "$$name"; done; \
for path in "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python; do probe "$$path"; done; \
if [ -z "$$python" ]; then \
    printf 'make setup: hier needs Python 3.12 or newer, and none was found.\n' >&2; \
    if [ -n "$$seen" ]; then printf "  on the path:\n$$seen" >&2; else printf '  on the path: no python at all\n' >&2; fi; \
    printf '  Install Python 3.12 or newer (Debian, Ubuntu: python3.12 and python3.12-venv; macOS: brew install python@3.12),\n' >&2; \
    printf '  or name an interpreter: make setup PYTHON=/path/to/python3.12\n' >&2; \
    exit 1; \
fi
endef

$(READY): pyproject.toml requirements.lock
	@set -e; \
	if $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    echo "using $(VENV)"; \
	else \
	    $(find_python); \
	    echo "making $(VENV) with Python $$version ($$python)"; \
	    rm -rf $(VENV); \
	    if uv --version >/dev/null 2>&1; then uv venv --quiet --no-project --python "$$python" $(VENV); \
	    elif ! "$$python" -m venv $(VENV); then \
	        rm -rf $(VENV); \
	        echo "make setup: $$python cannot make a virtual environment (Debian, Ubuntu: install python3-venv)" >&2; \
	        exit 1; \
	    fi; \
	fi; \
	$(find_uv); \
	"$$uv" pip install --quiet --compile-bytecode --python $(PY) --requirements requirements.lock; \
	"$$uv" pip install --quiet --compile-bytecode --python $(PY) --no-deps --no-build-isolation --editable .; \
	touch $@; \
	echo "ready: $(VENV)/bin/hier"
