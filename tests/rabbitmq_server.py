"""A RabbitMQ server on the loopback interface, for queues."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from amqp import Connection

from tests.missing import could_not_try
from tests.waiting import wait_until

#: Debian's own program in the path starts the server of the system, as its user.
PROGRAMS = Path("/usr/lib/rabbitmq/bin")


class RabbitServer:
    """It keeps its files in a folder, and has ports of its own, also for Erlang's name server."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("rabbitmq-server", path=PROGRAMS)
        names = shutil.which("epmd")
        if not program or not names:
            could_not_try("Celery on RabbitMQ", "no rabbitmq-server is installed")
        self.port, between, naming = _free_ports(3)
        config = folder / "rabbitmq.conf"
        config.write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\nloopback_users = none\n")
        (folder / "plugins").write_text("[].")
        env = os.environ | {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(naming),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "tests@localhost",
            "RABBITMQ_DIST_PORT": str(between),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # Its name server, too, ends with the test: by itself it would start one that stays.
        self._processes = [
            subprocess.Popen([names, "-port", str(naming), "-address", "127.0.0.1"], env=env)
        ]
        wait_until(lambda: _accepts(naming))
        with (folder / "rabbitmq.log").open("w") as log:
            self._processes += [
                subprocess.Popen(
                    [program], cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
                )
            ]
        wait_until(self._answers)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{quote('/', safe='')}"

    def waiting(self, queue: str) -> int:
        """The messages that no worker has taken yet."""
        with Connection(f"127.0.0.1:{self.port}") as broker:
            return int(broker.channel().queue_declare(queue, passive=True).message_count)

    def delete(self, queue: str) -> None:
        with Connection(f"127.0.0.1:{self.port}") as broker:
            broker.channel().queue_delete(queue)

    def close(self) -> None:
        names, server = self._processes
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        names.kill()
        names.wait()

    def _answers(self) -> bool:
        try:
            with Connection(f"127.0.0.1:{self.port}"):
                return True
        except OSError:
            return False


def _accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports
