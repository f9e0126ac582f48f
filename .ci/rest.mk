# What .ci/run checks besides `make test`: `make prove`, and what only CI does. Each target uses one
# core at most, and some wait for long: four at a time keep two cores busy. make starts them in the
# order of `all`: the longest first, so that no core is idle at the end. What they need is installed.

BIN := .venv/bin
NOX := $(BIN)/nox --reuse-existing-virtualenvs --no-install --session
# The pairs of Python and Django, each in quotes.
PAIRS ?=

# Proofs that rest on how Django changes schemas, which differs from version to version.
OF_SCHEMAS := tests/asof/test_drift.py tests/capture/test_schema_editor.py tests/lineage tests/upgrading

PROOFS := proof-postgresql-2 proof-postgresql-3 proof-sqlite-2 proof-sqlite-3 proof-postgresql-1 proof-sqlite-1

.PHONY: all $(PROOFS) django servers applications sources lint types docs

all: $(PROOFS) pairs-postgresql pairs-sqlite django servers applications docs sources types lint

# CI tries the same examples each time, fewer than `make prove`: see tests/sizes.py.
$(PROOFS): export TEST_FEW_EXAMPLES = 1
# How often the job, sealing, erasing and workers are killed; `make stress` does it for an hour.
$(PROOFS): export STRESS_KILLS = 5
$(PROOFS):
	$(MAKE) --file Makefile $@

# Once more with events whose IDs are negative, as those of an older log are, and on a log that is
# partitioned.
pairs-postgresql: export TEST_FIRST_ID = -1000000000
pairs-postgresql: export TEST_PARTITIONED = 1
pairs-%:
	TEST_DATABASE=$* $(NOX) $(PAIRS)
	TEST_DATABASE=$* TEST_MARKED=proof $(NOX) $(PAIRS) -- $(OF_SCHEMAS)

django servers: export PATH := $(CURDIR)/$(BIN):$(PATH)
django servers applications sources:
	$(NOX) $@

lint types docs:
	$(MAKE) --file Makefile $@
