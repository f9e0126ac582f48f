"""The tests on every supported pair of Python and Django, each on both databases: ``nox``.

An interpreter that is not installed is named and passed over;
``nox --error-on-missing-interpreters`` makes it an error.
"""

import nox

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
    for database in ("sqlite", "postgresql"):
        session.run("python", "-m", "pytest", *session.posargs, env={"TEST_DATABASE": database})
