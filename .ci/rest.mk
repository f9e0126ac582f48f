# What .ci/run checks besides `make test` and `make prove`, each on one core. make starts them in
# the order of `all`: the longest first, so that no core waits for long at the end. What they need
# is installed.

BIN := .venv/bin
NOX := $(BIN)/nox --reuse-existing-virtualenvs --no-install --session
# The pairs of Python and Django, each in quotes.
PAIRS ?=

.PHONY: all django servers applications sources lint types docs

all: django pairs-postgresql pairs-sqlite servers applications docs sources types lint

# Once more with events whose IDs are negative, as those of an older log are, and on a log that is
# partitioned.
pairs-postgresql: export TEST_FIRST_ID = -1000000000
pairs-postgresql: export TEST_PARTITIONED = 1
pairs-%:
	TEST_DATABASE=$* $(NOX) $(PAIRS)

django servers: export PATH := $(CURDIR)/$(BIN):$(PATH)
django servers applications sources:
	$(NOX) $@

lint types docs:
	$(MAKE) --file Makefile $@
