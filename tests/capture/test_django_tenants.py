"""Tests a schema for each tenant, as django-tenants creates, migrates and selects them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.examples import examples, steps
from tests.missing import could_not_try
from tests.project import ROOT

(EXAMPLE,) = examples("docs/tenants.md", "console")
pytestmark = [pytest.mark.proof, pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

DATABASE = "auditrepr_tenants"
FILES = {
    "manage.py": """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "settings.py": """
import json, os
SECRET_KEY = "x"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SHARED_APPS = ["django_tenants", "clients", "django.contrib.contenttypes"]
SHARED_APPS += json.loads(os.environ["SHARED"])
TENANT_APPS = ["django.contrib.contenttypes", "auditrepr", "shop"]
INSTALLED_APPS = list(dict.fromkeys(SHARED_APPS + TENANT_APPS))
TENANT_MODEL, TENANT_DOMAIN_MODEL = "clients.Client", "clients.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DATABASES = {"default": json.loads(os.environ["DB"])}
AUDITREPR = {"MODELS": ["shop.*", "clients.Client"]}
""",
    "clients/__init__.py": "",
    "clients/models.py": """
from django_tenants.models import DomainMixin, TenantMixin
class Client(TenantMixin): pass
class Domain(DomainMixin): pass
""",
    "shop/__init__.py": "",
    "shop/models.py": """
from django.db import models
class Thing(models.Model):
    name = models.CharField(max_length=100)
    def __str__(self): return self.name
""",
}  # fmt: skip
NEW = """
from clients.models import Client
Client(schema_name="{0}").save(verbosity=0)
"""
WRITE = """
from django_tenants.utils import schema_context
from shop.models import Thing
with schema_context("{0}"):
    Thing.objects.create(name="in {0}")
"""
READ = """
from django_tenants.utils import schema_context
from auditrepr.models import InstanceRepr
with schema_context("{0}"):
    print(*InstanceRepr.objects.values_list("instance_repr", "fidelity"))
"""

Run = Callable[..., str]


@pytest.fixture(params=[[], ["auditrepr"]], ids=["tenants alone", "shared tables, too"])
def run(request: Any, tmp_path: Path) -> Iterator[Run]:
    """Runs a command line of the project; gives what it prints."""
    if not find_spec("django_tenants"):
        could_not_try("tenants", "django-tenants is not installed")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = os.environ | {
        "SHARED": json.dumps(request.param),
        "DB": database(),
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def run(line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    try:
        run("python manage.py makemigrations clients shop -v0")
        run("python manage.py migrate_schemas --shared -v0")
        yield run
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {DATABASE}")


def database() -> str:
    settings = connection.settings_dict
    names = ("USER", "PASSWORD", "HOST", "PORT")
    return json.dumps(
        {
            "NAME": DATABASE,
            "ENGINE": "django_tenants.postgresql_backend",
            **{name: settings[name] for name in names},
        }
    )


def shell(run: Run, code: str) -> str:
    return run(f"python manage.py shell -v0 -c '{code}'")


def test_each_tenant_has_a_log_and_one_line_runs_the_job_for_all(run: Run) -> None:
    ((line, _),) = steps(EXAMPLE)
    for name in ("one", "two"):
        shell(run, NEW.format(name))
    run("python manage.py migrate_schemas -v0")  # as at each deployment
    shell(run, NEW.format("later"))
    for name in ("one", "two", "later"):
        shell(run, WRITE.format(name))
    run(line)
    for name in ("one", "two", "later"):
        assert shell(run, READ.format(name)) == f"('in {name}', 'E')\n"
        check = f"python manage.py tenant_command audit_triggers check --schema={name}"
        assert "all triggers are OK" in run(check)
        status = run(f"python manage.py tenant_command backfill_status --schema={name}")
        assert f"(schema {name})" in status
    assert run("python manage.py check").startswith("System check identified no issues")
