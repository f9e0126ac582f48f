"""The demo in a copy of the project, with a database of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from django.db import connection

from tests.project import Project
from tests.servers import postgres_url

LOOK = """
import json
from auditrepr.models import AuditLog, InstanceRepr, ReprFailure
from management.gazetteer.models import Country, Language, Subdivision, Succession
codes = ["alpha_2", "alpha_3", "numeric", "name", "common_name", "official_name", "flag"]
print(json.dumps({
    "countries": list(Country.objects.filter(withdrawn="").values(*codes)),
    "ended": list(Country.objects.exclude(withdrawn="").values_list("former_code", flat=True)),
    "formerly": list(Country.objects.exclude(former_code="").values_list("former_code", "name")),
    "successions": sorted(map(str, Succession.objects.all())),
    "subdivisions": list(Subdivision.objects.values_list("code", "parent__code")),
    "aude": str(Subdivision.objects.get(code="FR-11")),
    "languages": Language.objects.count(),
    "events": AuditLog.objects.count(),
    "pending": AuditLog.objects.pending().count(),
    "failures": list(ReprFailure.objects.values_list("error_class", "message")[:3]),
    "reprs": list(
        InstanceRepr.objects.filter(audit_log__table_name="gazetteer_country",
                                    audit_log__action="U")
        .order_by("audit_log_id").values_list("instance_repr", flat=True)),
}))
"""


class Demo(Project):
    """A copy of the project that works on one database."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.environment = {"DEBUG": "on", "DATABASE_URL": url}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.manage(*arguments, **self.environment | environment)

    def demo(self) -> str:
        """What the demo printed, once it went well."""
        done = self.run("demo")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    def sql(self, *statements: str) -> None:
        """Do something to the database that is not the demo's doing."""
        code = "from django.db import connection as c\n"
        code += "\n".join(f"c.cursor().execute({statement!r})" for statement in statements)
        done = self.run("shell", "-v0", "-c", code)
        assert done.returncode == 0, done.stderr

    def look(self) -> dict[str, Any]:
        """What the database holds."""
        done = self.run("shell", "-v0", "-c", LOOK)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def tables(self) -> list[str]:
        code = "from django.db import connection as c; print(*c.introspection.table_names())"
        return self.run("shell", "-v0", "-c", code).stdout.split()

    def refusal(self, **environment: str) -> str:
        """The one line that a demo which does nothing says."""
        done = self.run("demo", **environment)
        assert done.returncode == 1
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Makes an empty database and gives its URL; what it made is dropped in the end."""
    if connection.vendor == "sqlite":
        yield lambda: f"sqlite:///{tmp_path_factory.mktemp('database')}/demo.sqlite3"
        return
    import psycopg

    made: list[str] = []
    url = urlsplit(postgres_url())

    def server(statement: str) -> None:
        with psycopg.connect(urlunsplit(url._replace(path="/postgres")), autocommit=True) as pg:
            pg.execute(statement)  # type: ignore[arg-type]

    def make() -> str:
        made.append(f"demo_{uuid4().hex}")
        server(f"CREATE DATABASE {made[-1]}")
        return urlunsplit(url._replace(path=f"/{made[-1]}"))

    yield make
    for name in made:
        server(f"DROP DATABASE {name} WITH (FORCE)")
