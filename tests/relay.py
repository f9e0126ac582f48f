"""A relay between a client and a PostgreSQL server that breaks the connection at one statement."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

#: Messages of a client that end a statement: Query, Sync, CopyDone.
ENDS = b"QSc"
#: Seconds by which a statement is late.
DELAY = 0.6


def _reset(connection: socket.socket) -> None:
    """Close it so that the other side finds an error, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _close(connection)


def _close(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class Relay:
    """Forwards the messages of client and server; counts the statements of all connections.

    :param settings: Django's settings of the database that the server has.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.statements = 0
        self._at = 0
        self._fault: Callable[[socket.socket, socket.socket, bytes], bool] = self.cut
        self._gone = False
        threading.Thread(target=self._accept, daemon=True).start()

    def strike(self, fault: str, at: int) -> None:
        """Restart counting, and cause this fault instead of the statement with this number."""
        self.statements, self._at, self._gone = 0, at, False
        self._fault = getattr(self, fault)

    @property
    def struck(self) -> bool:
        """Return whether the fault has happened."""
        return 0 < self._at <= self.statements

    def close(self) -> None:
        _close(self._listener)

    # The faults: each returns whether the connection continues.

    def cut(self, client: socket.socket, server: socket.socket, message: bytes) -> bool:
        """The statement is lost, and the connection is reset on both sides."""
        _reset(client)
        _reset(server)
        return False

    def gone(self, client: socket.socket, server: socket.socket, message: bytes) -> bool:
        """Lose the statement, and reject new connections."""
        self._gone = True
        return self.cut(client, server, message)

    def half_close(self, client: socket.socket, server: socket.socket, message: bytes) -> bool:
        """The server runs the statement, but its answer is lost."""
        client.shutdown(socket.SHUT_WR)
        server.sendall(message)
        return True

    def delay(self, client: socket.socket, server: socket.socket, message: bytes) -> bool:
        """The statement is late: inside a transaction, the server has stopped waiting."""
        time.sleep(DELAY)
        server.sendall(message)
        return True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._gone:
                    client.close()
                else:
                    self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        server = self._reach()
        for pump in (self._up, self._down):
            threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _reach(self) -> socket.socket:
        host, port = self._settings["HOST"], self._settings["PORT"] or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            for message, ends in _messages(client):
                if ends:
                    self.statements += 1
                    if self.statements == self._at:
                        if not self._fault(client, server, message):
                            return
                        continue
                server.sendall(message)
        _close(server)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while answer := server.recv(65536):
                # The client is gone, but the server continues: read its messages.
                with suppress(OSError):
                    client.sendall(answer)
        _close(client)


def _messages(client: socket.socket) -> Iterator[tuple[bytes, bool]]:
    """Yield each message of the client, and whether it ends a statement."""
    stream = client.makefile("rb")
    kind = b""  # the first message has none
    while len(length := stream.read(4)) == 4:
        body = stream.read(int.from_bytes(length) - 4)
        yield kind + length + body, bool(kind) and kind in ENDS
        kind = stream.read(1)
