# Two commands do everything on a machine that has Python >= 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
DIST := dist
INSTALLED := $(VENV)/.installed
# In parallel: no test shares a port, a file or a state of its process with another, or needs the machine for itself.
# With bytecode files, as installers make them, whatever the environment has: else each of some 500 processes compiles the
# package anew.
WITH_BYTECODE := env -u PYTHONDONTWRITEBYTECODE
PYTEST := $(WITH_BYTECODE) $(BIN)/pytest --numprocesses=auto --dist=worksteal
INSTALL_BROWSER := env PYTHONPATH=tests $(BIN)/python -m interop.install_browser
INSTALL_SENDERS := env PYTHONPATH=tests $(BIN)/python -m interop.install_senders
# Runs a step and prints how long it took; the step's own exit status is kept.
STEP = @step() { name=$$1; shift; began=$$(date +%s); "$$@"; status=$$?; \
	echo "$$name: $$(($$(date +%s) - began)) s" >&2; return $$status; }; step

.PHONY: demo test test-portable lint bench accuracy accuracy-senders soak peers interop interop-senders dist release-check lock clean

demo: $(INSTALLED)
	@$(BIN)/python examples/demo.py

test: lint
	$(STEP) tests $(PYTEST)

lint: $(INSTALLED)
	$(STEP) ruff $(BIN)/ruff check .
	$(STEP) format $(BIN)/ruff format --check --quiet .
	$(STEP) mypy $(BIN)/mypy

# The same tests on a Linux made as poor as macOS: no SO_MEMINFO, no pidfd, and no /proc but where only tests look for it,
# which send no faster than is read (tests/lossless.py). Needs the right to mount (root).
test-portable: $(INSTALLED)
	$(STEP) "tests as on macOS" env PYTHONPATH=tests/as_on_macos unshare --mount \
		sh -c 'mount -t tmpfs none /proc && mkdir /proc/.kept && mount -t proc none /proc/.kept && exec $(PYTEST)'

# What it costs, beside a plain bridge: half an hour; BENCH="--runs 3 sustained cpu" for some sections of it.
bench: $(INSTALLED)
	@$(WITH_BYTECODE) PYTHONPATH=.:tests:examples $(BIN)/python -m benchmarks.bench $(BENCH)

# On the recordings that know the truth.
accuracy: $(INSTALLED)
	@$(BIN)/python benchmarks/accuracy.py

# Long runs against what goes wrong outside: half an hour and more; SOAK="--minutes 1 long" for one of them.
soak: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements-soak.lock || \
		echo "no atheris for this Python: its rows are skipped" >&2
	@env PYTHONPATH=.:tests:examples $(BIN)/python -m soak $(SOAK)

# The same troubles for csm-otel and daemons of others, which Go builds into the cache folder; PEERS="paused" for some.
peers: $(INSTALLED)
	$(STEP) "install peers" env PYTHONPATH=.:tests:examples $(BIN)/python -m soak.peers.installed
	@env PYTHONPATH=.:tests:examples $(BIN)/python -m soak.peers $(PEERS)

# A real back end, real SDKs and a real browser; what they need is installed into a cache folder outside the checkout
# (CSM_OTEL_CACHE).
interop: $(INSTALLED) test-portable
	$(STEP) "install Jaeger" $(BIN)/python tests/interop/install_jaeger.py
	$(STEP) "install collector" env PYTHONPATH=tests $(BIN)/python -m interop.install_collector
	$(STEP) "install senders" $(INSTALL_SENDERS)
	$(STEP) "install browser" $(INSTALL_BROWSER)
	$(STEP) "install viewers" env PYTHONPATH=tests $(BIN)/python -m interop.install_viewers
	$(STEP) "install JUnit's schema" env PYTHONPATH=tests $(BIN)/python -m interop.install_junit_schema
	$(STEP) "install packagers" env PYTHONPATH=tests $(BIN)/python -m interop.install_packagers
	$(STEP) "install image" env PYTHONPATH=tests $(BIN)/python -m interop.install_image
	$(STEP) "install schemas" env PYTHONPATH=tests $(BIN)/python -m interop.install_schemas
	$(STEP) "install Debian's" env PYTHONPATH=tests $(BIN)/python -m interop.debian
	$(STEP) "install Prometheus" env PYTHONPATH=tests $(BIN)/python -m interop.install_prometheus
	$(STEP) "install Grafana's schema" env PYTHONPATH=tests $(BIN)/python -m interop.install_grafana
	$(STEP) "install act" env PYTHONPATH=tests $(BIN)/python -m interop.install_act
	$(STEP) interop $(BIN)/pytest --maxfail=10 tests/interop

# A short cut to the SDKs alone.
interop-senders: $(INSTALLED)
	$(STEP) "install senders" $(INSTALL_SENDERS)
	$(STEP) senders $(BIN)/pytest --maxfail=10 tests/interop/test_senders.py

# How the SDKs' calls come out when many of one API are under way; ACCURACY="--workers 64 boto3" for some of them.
accuracy-senders: $(INSTALLED)
	$(STEP) "install senders" $(INSTALL_SENDERS)
	@env PYTHONPATH=tests:examples $(BIN)/python benchmarks/senders.py $(ACCURACY)

$(INSTALLED): requirements-dev.lock pyproject.toml scripts/launcher.py scripts/build_hook.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "csm-otel needs Python 3.11 or newer; name one with PYTHON=" >&2; exit 1; }
	@echo "setting up $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@# --no-deps: the lock is whole, and pip before 23.3 looks for "coverage[toml]" beyond it as soon as there is a newer one
	$(STEP) install $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The wheel and the sdist, by the locked build back end. The times in them are those of the commit, so that the same commit
# gives the same bytes.
dist: $(INSTALLED)
	@rm -rf $(DIST)
	@$(BIN)/python scripts/release.py build $(DIST)

# A rehearsal; VERSION is that to be released.
release-check: test
	@$(BIN)/python scripts/release.py check $(VERSION) --tests-passed

lock:
	$(UV) pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock
	$(UV) pip compile -q pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements-dev.lock
	$(UV) pip compile -q --group soak --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements-soak.lock

clean:
	rm -rf $(VENV) .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache build $(DIST)
