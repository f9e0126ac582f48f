"""The project that the benchmarks run in; the environment selects the database."""

from __future__ import annotations

import os
from importlib.util import find_spec

from tests.servers import database_settings

SECRET_KEY = "benchmarks"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

VENDOR = os.environ.get("BENCHMARK_DATABASE", "sqlite")
DATABASES = {"default": database_settings(VENDOR)["default"]}
if VENDOR == "sqlite":
    # As in a project that follows the README: WAL, and a commit that a crash cannot corrupt.
    DATABASES["default"]["NAME"] = os.environ.get("BENCHMARK_FILE", ":memory:")
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
    )

INSTALLED_APPS = ["django.contrib.contenttypes", "auditrepr", "benchmarks.shop"]
if VENDOR == "postgresql" and find_spec("pghistory"):
    INSTALLED_APPS += ["pgtrigger", "pghistory", "benchmarks.peers"]

#: How many tables are audited, in the benchmark of that.
TABLES = os.environ.get("BENCHMARK_TABLES", "")
if TABLES:
    INSTALLED_APPS.append("benchmarks.many")

#: The method that replaces ``__str__`` in the benchmark of relations.
REPR = os.environ.get("BENCHMARK_REPR", "")
AUDITREPR: dict[str, object] = {"SOURCES": {"ours": "benchmarks.imported.select"}}
if REPR:
    AUDITREPR["REPR"] = {"shop.Invoice": REPR}
if TABLES:
    AUDITREPR["MODELS"] = ["-shop.Label", "-shop.Invoice_labels"]
