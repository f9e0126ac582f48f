"""PgBouncer in front of the server that the tests run on."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from tests.missing import could_not_try
from tests.servers import unprivileged_user

PORT = "6544"
CONFIGURATION = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr =
listen_port = {own_port}
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
logfile = {folder}/log
"""


@contextmanager
def bouncing(sessions: int) -> Iterator[Path]:
    """Run PgBouncer with so many sessions for all clients; yield the folder of its socket."""
    program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    if not program:
        could_not_try("PgBouncer", "no pgbouncer is installed")
    server = connection.settings_dict
    # A socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="bouncer", dir="/tmp"))
    user = unprivileged_user()
    if user:
        shutil.chown(folder, user)
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(
            host=server["HOST"], port=server["PORT"] or 5432, user=server["USER"],
            own_port=PORT, folder=folder, sessions=sessions,
        )
    )  # fmt: skip
    as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
    process = subprocess.Popen([program, "-q", configuration], cwd=folder, **as_user)
    try:
        until = time.monotonic() + 60
        while not (folder / f".s.PGSQL.{PORT}").exists():
            assert time.monotonic() < until, "PgBouncer did not start"
            assert process.poll() is None, "PgBouncer did not start"
            time.sleep(0.05)
        yield folder
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)
