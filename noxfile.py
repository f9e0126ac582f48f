"""The tests on every supported pair of Python and Django, each on both databases: ``nox``.

An interpreter that is not installed is named and passed over;
``nox --error-on-missing-interpreters`` makes it an error.
"""

import os
import shlex
import shutil
from itertools import product
from pathlib import Path

import nox

#: What rests on how PostgreSQL behaves, rather than on what it documents.
ON_EVERY_SERVER = [
    "tests/capture/test_capture.py",
    "tests/capture/test_postgresql.py",
    "tests/asof/test_drift.py",
    "tests/asof/related/test_history.py",
    "tests/job/test_pending.py",
    "tests/asof/test_batch.py",
    "tests/job/test_timeouts.py",
]

#: Django's own tests of what comes between an application and its tables. Those of schema changes
#: are on their own: on SQLite each change takes the triggers of every audited table away for once.
OF_DJANGO = [
    "bulk_create composite_pk contenttypes_tests custom_pk delete delete_regress expressions"
    " fixtures force_insert_update foreign_object generic_relations get_or_create m2m_through"
    " many_to_many many_to_one model_inheritance model_inheritance_regress multiple_database"
    " one_to_one order_with_respect_to postgres_tests prefetch_related proxy_models queries"
    " raw_query select_for_update select_related transactions update",
    "schema",
    "migrations",
]

PAIRS = [
    ("3.11", "5.2"),
    ("3.12", "5.2"),
    ("3.13", "5.2"),
    ("3.12", "6.0"),
    ("3.13", "6.0"),
    ("3.12", "6.1"),
    ("3.13", "6.1"),
]

nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"


@nox.session
@nox.parametrize(("python", "django"), PAIRS)
def tests(session: nox.Session, django: str) -> None:
    """On one database, if ``TEST_DATABASE`` names it. Arguments after ``--`` go to pytest."""
    session.install("-e", ".[test]", f"django=={django}.*")
    database = os.environ.get("TEST_DATABASE")
    session.run(
        "make", "-j1" if database else "-j3", "--keep-going", "--output-sync=target",
        f"suite-{database}" if database else "suites",
        f"BIN={session.bin}", f"ARGS={shlex.join(session.posargs)}",
        external=True,
    )  # fmt: skip


#: The stories by what has to be installed for them: not all applications can live together.
STORIES = {
    "applications": ("forum", "gazetteer", "oscar", "wiki"),
    "more-applications": ("conference", "stories"),
}


@nox.session(python="3.12")
@nox.parametrize("extra", list(STORIES))
def applications(session: nox.Session, extra: str) -> None:
    """Other people's applications and the demo's, told with their data and audited as a whole."""
    session.install("-e", f".[test,{extra}]")
    for database, name in product(("sqlite", "postgresql"), STORIES[extra]):
        story = f"tests/applications/{name}_story.py"
        session.run(
            "python", "-m", "pytest", "-W", "ignore", story,
            env={
                "DJANGO_SETTINGS_MODULE": f"tests.applications.{name}_settings",
                "PYTHONPATH": str(Path.cwd()),
                "TEST_DATABASE": database,
            },
        )  # fmt: skip


#: The oldest versions of other audit logs that can be imported; the tests use the newest.
OLDEST_SOURCES = [
    "django-auditlog==2.3.0",
    "django-pghistory==3.0.0",
    "django-simple-history==3.8.0",
]


@nox.session(python="3.12")
def sources(session: nox.Session) -> None:
    """Test the import of other audit logs in the oldest version of each."""
    session.install("-e", ".[test]")
    session.install(*OLDEST_SOURCES)
    for database in ("sqlite", "postgresql"):
        session.run(
            "python", "-m", "pytest", "-m", "proof or not proof",
            "tests/job/importing/test_import_models.py",
            "tests/job/importing/test_import_pghistory.py",
            env={"TEST_DATABASE": database},
        )  # fmt: skip


@nox.session(python=False)
def servers(session: nox.Session) -> None:
    """Test capture and rebuild on the other PostgreSQL versions that a wheel brings."""
    found = session.run(
        "python", "-c", "import tests.servers as s; print(*s.bundled_versions())", silent=True
    )
    for binaries in str(found).split():
        session.log(f"PostgreSQL of {Path(binaries).parent.name}")
        session.run(
            "python", "-m", "pytest", "-m", "proof or not proof",
            *(session.posargs or ON_EVERY_SERVER),
            env={
                "TEST_DATABASE": "postgresql",
                "TEST_POSTGRES_BINARIES": binaries,
                # The wheel's servers come without extensions: what needs one is named.
                "TEST_NOTHING_MISSING": "",
            },
        )  # fmt: skip


@nox.session(python=False)
def django(session: nox.Session) -> None:
    """Django's own tests, with every model of theirs audited: an application notices nothing."""
    version = session.run("python", "-c", "import django; print(django.__version__)", silent=True)
    folder = Path(session.create_tmp())
    session.run(
        "python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--no-binary=django", f"--dest={folder}", f"django=={str(version).strip()}",
    )  # fmt: skip
    (archive,) = folder.glob("django-*.tar.gz")
    shutil.unpack_archive(archive, folder)
    root = Path.cwd()
    with session.chdir(folder / archive.name.removesuffix(".tar.gz") / "tests"):
        for database in ("sqlite", "postgresql"):
            for labels in OF_DJANGO:
                session.run(
                    "python", "runtests.py", "--settings=tests.django_suite.settings",
                    "--parallel=1", *labels.split(),
                    env={"TEST_DATABASE": database, "PYTHONPATH": str(root)},
                )  # fmt: skip
