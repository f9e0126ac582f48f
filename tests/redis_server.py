"""A Redis server on the loopback interface, for queues."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from kombu import Connection

from tests.missing import could_not_try
from tests.waiting import wait_until


class RedisServer:
    """It keeps nothing on disk, and has a port of its own."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if not program:
            could_not_try("Celery on Redis", "no redis-server is installed")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no"}
        command = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with (folder / "redis.log").open("w") as log:
            self._process = subprocess.Popen([program, *command], cwd=folder, stdout=log)
        wait_until(self._answers)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def waiting(self, queue: str) -> int:
        """The messages that no worker has taken yet."""
        with Connection(self.url) as broker:
            return int(broker.default_channel.client.llen(queue))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
