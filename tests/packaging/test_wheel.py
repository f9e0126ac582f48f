"""Tests the wheel's content, and that it works without the rest of the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.examples import examples
from tests.project import ROOT

SHELL = examples("README.md", "sh")
SOURCE = ("auditrepr", "management", "tests", "pyproject.toml", "setup.cfg", "docs", "LICENSE")
SETTINGS = """
SECRET_KEY = "x"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "auditrepr"]
AUDITREPR = {"MODELS": ["auth.Group"]}
"""
WRITE = "from django.contrib.auth.models import Group; Group.objects.create(name='Auditors')"
READ = """
from auditrepr.models import AuditLog
print([str(event.instance_repr) for event in AuditLog.objects.all()])
"""

pytestmark = [pytest.mark.proof, pytest.mark.sqlite]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: setuptools would leave its files in the project, and find old ones."""
    folder = tmp_path_factory.mktemp("source")
    for name in SOURCE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", source / "dist", source, cwd=source)
    (found,) = (source / "dist").iterdir()
    return found


def test_it_holds_every_module_of_auditrepr_and_nothing_of_the_project_around_it(wheel):
    package = ROOT / "auditrepr"
    expected = {
        str(file.relative_to(ROOT))
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected
    mo = "auditrepr/locale/de/LC_MESSAGES/django.mo"
    assert held > {"auditrepr/py.typed", "auditrepr/migrations/0001_initial.py", mo}


def test_it_says_its_license_and_which_pythons_and_djangos_it_needs(wheel):
    metadata, license_text = _metadata(wheel)
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert license_text == (ROOT / "LICENSE").read_bytes()
    assert metadata["Requires-Python"] == ">=3.11"
    assert "django>=5.2" in metadata.get_all("Requires-Dist")


def test_its_description_has_no_link_or_picture_that_leads_nowhere_on_a_package_index(wheel):
    metadata, _ = _metadata(wheel)
    text = metadata.get_payload(decode=True).decode()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert text.strip() == (ROOT / "docs" / "package.md").read_text().strip()
    assert [link for link in re.findall(r"\]\(([^)]+)", text) if "://" not in link] == []


def test_the_command_that_the_readme_shows_installs_it_with_its_driver(source, tmp_path):
    _, command, _ = SHELL
    python, *arguments = shlex.split(command.replace("/path/to/auditrepr", str(source)))
    assert python == "python"
    _run(sys.executable, *arguments, "--quiet", "--target", tmp_path / "site", cwd=tmp_path)
    assert (tmp_path / "site" / "auditrepr" / "py.typed").exists()
    assert (tmp_path / "site" / "psycopg").is_dir()


def test_in_an_empty_environment_it_migrates_and_represents_a_change(wheel, tmp_path):
    (tmp_path / "somewhere.py").write_text(SETTINGS)
    _run(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    _run("venv/bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)

    def manage(*arguments: str) -> str:
        return _run("venv/bin/python", "-m", "django", *arguments, cwd=tmp_path)

    assert manage("migrate", "-v0") == ""
    manage("shell", "-v0", "-c", WRITE)
    manage("backfill_reprs")
    assert manage("shell", "-v0", "-c", READ) == "['Auditors']\n"


def _metadata(wheel: Path) -> tuple[Message, bytes]:
    """What the wheel says of itself, and its license."""
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = BytesParser().parsebytes(archive.read(name))
        return metadata, archive.read(name.replace("METADATA", "licenses/LICENSE"))


def _run(*command: str | Path, cwd: Path) -> str:
    """What the command prints on standard output; nothing of this environment reaches it."""
    kept = {
        n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "DJANGO", "VIRTUAL"))
    }
    environment = {**kept, "PYTHONPATH": str(cwd), "DJANGO_SETTINGS_MODULE": "somewhere"}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout
