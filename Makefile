# make run   builds hocket and runs the demonstration       make test  runs every test on both legs
# make lint  style, types, layers                           make docs  the documentation, warnings are errors
# make bench compares loops, ten minutes (bench-full: all)  make dist  sdist, wheel, pure wheel
# make performance  measures for docs/performance.md, and writes it
# make clean removes everything that make made
#
# Another interpreter: make clean, then make PYTHON=/path/to/python3.13 test
#
# There are two legs, each with an environment of its own, because a stale extension module would hide an edit of
# its .py file: .venv has the engine compiled, .venv-pure the same files as they are. Both have hocket installed by
# copy, never from src. A stamp file in each environment records what is up to date.

PYTHON ?= python3
COMPILED := .venv
PURE := .venv-pure
# The tools and the servers have packages of their own: `.ci/tools`, `.ci/servers`, `nox -s tools servers`.
PYTEST_FLAGS ?= --timeout=600 --durations=8 --ignore=tests/tools --ignore=tests/servers
PURE_TESTS ?= not slow
BENCH_FLAGS ?=

SOURCES := $(shell find src/hocket -name __pycache__ -prune -o -print) setup.py README.md LICENSE
PIP := -m pip --disable-pip-version-check --quiet --quiet

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: run test test-compiled test-pure bench bench-full performance performance-page lint docs dist clean

run: $(COMPILED)/.hocket $(COMPILED)/.examples
	$(COMPILED)/bin/hocket run --report examples/aggregator.py

# What takes long (load, leaks) is run on one leg here; `.ci/run` runs it on both.
test: test-compiled test-pure

test-compiled: $(COMPILED)/.hocket $(COMPILED)/.test
	HOCKET_TEST_LEG=compiled $(COMPILED)/bin/python -m pytest $(PYTEST_FLAGS)

test-pure: $(PURE)/.hocket $(PURE)/.test
	HOCKET_TEST_LEG=pure $(PURE)/bin/python -m pytest $(PYTEST_FLAGS) -m "$(PURE_TESTS)"

bench: $(COMPILED)/.hocket $(COMPILED)/.bench
	@mkdir -p build
	$(COMPILED)/bin/python -m bench --brief --minutes 10 --json build/bench.json $(BENCH_FLAGS)

bench-full: $(COMPILED)/.hocket $(COMPILED)/.bench
	@mkdir -p build
	$(COMPILED)/bin/python -m bench --json build/bench-full.json $(BENCH_FLAGS)

# Twenty minutes on a machine that does nothing else: what hocket is held to, the growth curves, and with it all the page,
# which keeps what was measured with other Pythons. BENCH_PYTHON is one that has hocket and the loops. (1 is the exit code
# when a peer has failed in a case.)
BENCH_MINUTES ?= 17
BENCH_PYTHON ?= $(COMPILED)/bin/python
BENCH_RESULTS := docs/performance
performance:
	@[ "$(BENCH_PYTHON)" != "$(COMPILED)/bin/python" ] || $(MAKE) --no-print-directory $(COMPILED)/.hocket $(COMPILED)/.bench
	@mkdir -p $(BENCH_RESULTS)
	version=$$($(BENCH_PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	$(BENCH_PYTHON) -m bench --brief --minutes $(BENCH_MINUTES) --json $(BENCH_RESULTS)/$$version.json $(BENCH_FLAGS) || [ $$? = 1 ] && \
	$(BENCH_PYTHON) -m bench --brief --minutes 3 --json $(BENCH_RESULTS)/$$version-growth.json \
	    --cases task_growth,tcp_growth,idle_growth $(BENCH_FLAGS) || [ $$? = 1 ]
	$(MAKE) --no-print-directory performance-page

performance-page:
	rm -f $(BENCH_RESULTS)/*.svg
	$(BENCH_PYTHON) -m bench.document $(BENCH_RESULTS)/*.json --output docs/performance.md --plots $(BENCH_RESULTS) --readme README.md

lint: $(COMPILED)/.lint
	$(COMPILED)/bin/ruff check .
	$(COMPILED)/bin/ruff format --check .
	$(COMPILED)/bin/mypy
	PYTHONPATH=src $(COMPILED)/bin/lint-imports --no-cache

# From the pure leg: signatures and annotations are those of the Python source.
docs: $(PURE)/.hocket $(PURE)/.docs
	$(PURE)/bin/python -m sphinx -W --keep-going -E -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

dist: $(COMPILED)/.dist
	rm -rf dist
	HOCKET_REQUIRE_EXTENSIONS=1 $(COMPILED)/bin/python -m build --outdir dist .
	HOCKET_NO_EXTENSIONS=1 $(COMPILED)/bin/python -m build --wheel --outdir dist .

clean:
	rm -rf $(COMPILED) $(PURE) build dist docs/_build src/*.egg-info \
	    .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .nox
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments ---------------------------------------------------------------------------------------------------

$(COMPILED)/.ready $(PURE)/.ready:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "hocket needs Python 3.11 or later, '$(PYTHON)' is not: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	@echo "$(@D): new environment"
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python $(PIP) install --upgrade 'pip>=25.1'
	@touch $@

# .venv/.test has the dependency group "test" of pyproject.toml, and so on.
$(COMPILED)/.%: pyproject.toml $(COMPILED)/.ready
	@echo "$(@D): packages of the group '$*'"
	@$(COMPILED)/bin/python $(PIP) install --group $*
	@touch $@

$(PURE)/.%: pyproject.toml $(PURE)/.ready
	@echo "$(@D): packages of the group '$*'"
	@$(PURE)/bin/python $(PIP) install --group $*
	@touch $@

# What lies in build/lib* is copied into the wheel, also what src no longer has: only compiled modules, slow to make,
# are kept between builds.
INSTALL = find build/lib* -type f ! -name '*.so' -delete 2>/dev/null; \
    $(@D)/bin/python $(PIP) install --no-build-isolation --no-deps --force-reinstall .

$(COMPILED)/.hocket: $(SOURCES) pyproject.toml $(COMPILED)/.build
	@echo "$(@D): building hocket, engine compiled (takes a minute or two the first time)"
	@HOCKET_REQUIRE_EXTENSIONS=1; export HOCKET_REQUIRE_EXTENSIONS; $(INSTALL)
	@touch $@

# No Cython here, so that the engine is seen to do without.
$(PURE)/.hocket: $(SOURCES) pyproject.toml $(PURE)/.pure-build
	@echo "$(@D): installing hocket, engine as plain Python"
	@HOCKET_NO_EXTENSIONS=1; export HOCKET_NO_EXTENSIONS; $(INSTALL)
	@touch $@
