"""``python -m benchmarks idle trickle … --rows 1000000 --database postgresql``."""

from __future__ import annotations

import os
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import PostgresServer

#: Measured on a log that grows from one size to the next.
STANDING = ("idle", "trickle")
NAMES = (
    *STANDING, "drain", "relations", "asked", "pairs", "searched", "opened", "capture", "indexes",
    "export", "imported", "seal", "tables", "shared", "bytes", "years",
)  # fmt: skip
#: Numbers of audited tables, for ``tables``.
COUNTS = [3, 30, 270]
#: Numbers of workers, for ``shared``.
WORKERS = [1, 2, 4]
#: As durable as a production server; memory and checkpoints as for a small machine.
SERVER = (
    "-c shared_buffers=1GB -c max_wal_size=8GB -c maintenance_work_mem=256MB"
    " -c max_prepared_transactions=5 -c autovacuum=off"
)
COUNTING = " -c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track_planning=on"


def arguments(given: list[str] | None = None) -> Namespace:
    parser = ArgumentParser(prog="python -m benchmarks", description="What auditrepr costs.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(NAMES)}; tables and shared may be followed by how many",
    )
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument(
        "--rows", type=_number, nargs="+", default=[100_000], help="one or more sizes: 1_000_000"
    )
    parser.add_argument("--repeat", type=int, default=3, help="medians of so many runs")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="go on in the database that an earlier run left on the server of TEST_POSTGRES_URL",
    )
    options = parser.parse_args(given)
    counts = [name for name in options.names if name[:1].isdecimal()]
    options.names = [name for name in options.names if name not in counts]
    options.counts = list(map(_number, counts))
    for name in options.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name!r}: choose from {', '.join(NAMES)}")
    if options.keep and "TEST_POSTGRES_URL" not in os.environ:
        parser.error("--keep needs a server that stays: name it in TEST_POSTGRES_URL")
    return options


def _number(text: str) -> int:
    return int(text.replace(",", ""))


@contextmanager
def database(vendor: str, keep: bool = False) -> Iterator[None]:
    """Create an empty database; the environment leads every process to it.

    :param keep: use an existing database as it is.
    """
    os.environ["BENCHMARK_DATABASE"] = vendor
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    with _postgresql(keep) if vendor == "postgresql" else _sqlite():
        import django

        django.setup()
        yield


@contextmanager
def _postgresql(keep: bool) -> Iterator[None]:
    if "TEST_POSTGRES_URL" in os.environ:
        _create_database(keep)
        yield
        return
    server = _server()
    os.environ["TEST_POSTGRES_URL"] = server.url
    try:
        _create_database()
        yield
    finally:
        del os.environ["TEST_POSTGRES_URL"]
        server.close()


def _server() -> PostgresServer:
    try:
        return PostgresServer(options=SERVER + COUNTING)
    except RuntimeError:  # this server lacks the extension: buffers are not counted
        return PostgresServer(options=SERVER)


def _create_database(keep: bool = False) -> None:
    import psycopg

    from tests.servers import database_settings

    settings = database_settings("postgresql")["default"]
    where = {"host": settings["HOST"], "port": settings["PORT"] or None, "user": settings["USER"],
             "password": settings["PASSWORD"] or None}  # fmt: skip
    with psycopg.connect(dbname="postgres", autocommit=True, **where) as connection:
        there = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [settings["NAME"]]
        ).fetchone()
        if keep and there:
            return
        connection.execute(f'DROP DATABASE IF EXISTS "{settings["NAME"]}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{settings["NAME"]}"')


@contextmanager
def _sqlite() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="auditrepr-benchmarks-") as folder:
        os.environ["BENCHMARK_FILE"] = str(Path(folder) / "benchmarks.sqlite3")
        yield


def main(given: list[str] | None = None) -> None:
    options = arguments(given)
    names = options.names or NAMES
    with database(options.database, options.keep):
        from . import backlogs, data, others
        from .asked import asked
        from .capture import capture
        from .export import export
        from .imported import imported
        from .indexes import indexes
        from .seals import seal
        from .shared import shared
        from .sizes import sizes
        from .tables import tables
        from .years import years

        data.make_schema()
        others.uninstall()
        data.represent_all()
        if set(names) & set(STANDING):
            backlogs.standing(names, options.rows, options.repeat)
        writing = {"capture": capture, "indexes": indexes, "bytes": sizes}
        whole = {
            "export": export,
            "imported": imported,
            "asked": asked,
            "seal": seal,
            "years": years,
        }
        for name in names:
            if name in whole:
                whole[name](options.rows, options.repeat)
            elif name in writing:
                with others.installed():
                    writing[name](max(options.rows), options.repeat)
            elif name == "tables":
                tables(options.counts or COUNTS, max(options.rows), options.repeat)
            elif name == "shared":
                shared(options.counts or WORKERS, max(options.rows), options.repeat)
            elif name not in STANDING:
                benchmark: Callable[..., None] = getattr(backlogs, name)
                benchmark(options.rows, options.repeat)


if __name__ == "__main__":
    main()
