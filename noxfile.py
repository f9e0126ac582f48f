"""The tests on every supported pair of Python and Django, each on both databases: ``nox``.

An interpreter that is not installed is named and passed over;
``nox --error-on-missing-interpreters`` makes it an error.
"""

import shlex
from pathlib import Path

import nox

#: What rests on how PostgreSQL behaves, rather than on what it documents.
ON_EVERY_SERVER = [
    "tests/test_capture.py",
    "tests/test_capture_postgresql.py",
    "tests/test_drift.py",
    "tests/test_history.py",
    "tests/test_pending.py",
    "tests/test_rebuild.py",
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
    """Arguments after ``--`` go to pytest."""
    session.install("-e", ".[test]", f"django=={django}.*")
    session.run(
        "make", "-j2", "--keep-going", "--output-sync=target",
        "suites", f"BIN={session.bin}", f"ARGS={shlex.join(session.posargs)}",
        external=True,
    )  # fmt: skip


@nox.session(python=False)
def servers(session: nox.Session) -> None:
    """The tests of capture and rebuild on the other PostgreSQL versions that a wheel brings."""
    found = session.run(
        "python", "-c", "import tests.servers as s; print(*s.bundled_versions())", silent=True
    )
    for binaries in str(found).split():
        session.log(f"PostgreSQL of {Path(binaries).parent.name}")
        session.run(
            "python", "-m", "pytest", *(session.posargs or ON_EVERY_SERVER),
            env={
                "TEST_DATABASE": "postgresql",
                "TEST_POSTGRES_BINARIES": binaries,
                # The wheel's servers come without extensions: what needs one is named.
                "TEST_NOTHING_MISSING": "",
            },
        )  # fmt: skip
