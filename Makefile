# What to do here, by name. `make` alone lists it; nothing but Python >= 3.11, git and make is needed.

VENV := .venv
BIN := $(VENV)/bin
# Set PYTHON to choose the interpreter that the environment is made with.
PYTHON ?=
# Arguments for pytest: make test ARGS="tests/packaging/test_environment.py -x"
ARGS ?=
# What runs the tests.
RUN := pytest
# How many random histories of each kind `make truth` tries on each database.
EXAMPLES ?= 1000

# Those of each database run in three parts (tests/parts.py), the longest first: so no core waits.
SUITES := suite-postgresql-2 suite-postgresql-3 suite-sqlite-2 suite-sqlite-3 suite-postgresql-1 suite-sqlite-1
# The same for what takes longer.
PROOFS := $(SUITES:suite-%=proof-%)

.PHONY: help demo bench test prove suites suite-sqlite suite-postgresql $(SUITES) $(PROOFS) truth stress coverage mutants lint types docs matrix clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo .env ## load real data, change it, and show the audit log
	@$(BIN)/python manage.py demo

bench: $(VENV)/bench ## measure what it costs, on PostgreSQL and SQLite; docs/benchmarks.md says more
	@for database in postgresql sqlite; do \
	    printf '\n## %s\n' $$database; \
	    $(BIN)/python -m benchmarks --database $$database --rows 20_000 $(ARGS) || exit 1; \
	done

# Side by side; what each of them says is shown when it ends.
test prove: export TEST_NOT_TRIED = $(VENV)/not-tried
# Hundreds of processes start: without bytecode each would compile the package again.
test prove $(PROOFS): export PYTHONDONTWRITEBYTECODE =
test prove: BOTH = rm -f $(TEST_NOT_TRIED); \
    $(MAKE) -j3 --output-sync=target --keep-going suites; failed=$$?; \
    printf '\n== Not tried\n'; sort -u $(TEST_NOT_TRIED); exit $$failed

test: $(VENV)/test ## run the tests on SQLite and PostgreSQL side by side
	@$(BOTH)

prove $(PROOFS): export TEST_MARKED = proof or sized
prove $(PROOFS): export TEST_FULL_SIZE = 1
prove: $(VENV)/test ## run what takes longer: kills, outages, random histories, a browser, the demo, other applications
	@$(BOTH)

suites: $(SUITES)

suite-sqlite: suite-sqlite-1 suite-sqlite-2 suite-sqlite-3

suite-postgresql: suite-postgresql-1 suite-postgresql-2 suite-postgresql-3

$(PROOFS): proof-%:
	@$(MAKE) suite-$*

$(SUITES): suite-%:
	@printf '\n== Tests on %s\n' '$(subst -, part ,$*)'
	@TEST_DATABASE=$(firstword $(subst -, ,$*)) TEST_PART=$(word 2,$(subst -, ,$*)) $(BIN)/python -m $(RUN) $(if $(TEST_MARKED),-m '$(TEST_MARKED)') $(ARGS) || \
	    { echo 'Tests failed on $(subst -, part ,$*).'; exit 1; }

truth: $(VENV)/test ## try a thousand random histories of each kind on both databases at once: hours; EXAMPLES=50 tries fewer
	@printf 'sqlite\npostgresql\n' | TRUTH_EXAMPLES=$(EXAMPLES) xargs -P 2 -I {} sh -c \
	    'TEST_DATABASE={} $(BIN)/python -m pytest -s tests/truth tests/asof/related/test_managers.py >$(VENV)/truth-{} 2>&1; \
	     status=$$?; cat $(VENV)/truth-{}; exit $$status'

stress: $(VENV)/test ## kill the job hundreds of times while others write, and start it fifty times at the same moment
	@for database in sqlite postgresql; do \
	    STRESS_KILLS=300 STRESS_ROUNDS=3 STRESS_SECONDS=60 TEST_DATABASE=$$database \
	        $(BIN)/python -m pytest -m proof tests/job/test_kills.py tests/job/test_overlap.py \
	        tests/job/test_pending.py tests/job/rounds/test_workers.py \
	        tests/job/rebuilding/test_rebuild_rounds.py || exit 1; \
	done

coverage: export TEST_MARKED = proof or not proof
coverage: $(VENV)/test ## run all tests on both databases, at twice the cost, and list what none of them reaches
	@$(BIN)/python -m coverage erase
	@$(MAKE) suites RUN='coverage run -m pytest'
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

mutants: $(VENV)/mutants ## check that the tests notice small changes of the committed code; ARGS="job/runs/run" asks for one module
	@rm -rf build/mutants && git clone --quiet . build/mutants
	@cd build/mutants && $(CURDIR)/$(BIN)/python -m tests.mutation $(ARGS)

lint: $(VENV)/dev ## check the style with ruff, and the directions of imports (.importlinter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/dev ## check the types with mypy
	DEBUG=on $(BIN)/mypy

docs: $(VENV)/docs ## build the documentation; a link that leads nowhere is an error
	$(BIN)/python -m sphinx -W --keep-going -q -c docs . build/docs
	@echo 'The documentation is in build/docs/docs/index.html'

matrix: $(VENV)/dev ## run the tests on every supported pair of Python and Django that is installed
	$(BIN)/nox

clean: ## remove what the other commands have made, the demo's data and .env excepted
	rm -rf $(VENV) .nox build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/demo: EXTRAS = demo,postgres
$(VENV)/test: EXTRAS = test
$(VENV)/dev: EXTRAS = dev
$(VENV)/bench: EXTRAS = bench
$(VENV)/docs: EXTRAS = docs
$(VENV)/mutants: EXTRAS = test,mutants

# Each environment is the same directory with more in it; the stamp is younger than what it was made of.
$(VENV)/demo $(VENV)/test $(VENV)/dev $(VENV)/bench $(VENV)/docs $(VENV)/mutants: setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	@touch $@

# Runs each candidate: a version manager's shim can stand for an interpreter that is not there.
$(BIN)/python:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	    if $$python -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then echo "$$python -m venv $(VENV)"; exec $$python -m venv --clear $(VENV); fi; \
	done; \
	found=$$($(or $(PYTHON),python3) --version 2>&1 | head -n 1); \
	echo "This needs Python 3.11 or later with its venv module, and found only: $$found." >&2; \
	echo "Install one (Debian: apt-get install python3-venv), or name one:" \
	    "make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1

.env:
	@cp .env.example .env
	@echo "Made .env from .env.example: DEBUG is on, for this machine alone."
