"""Writes an export: to standard output, into a new file, or onto the end of one."""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from argparse import ArgumentTypeError
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..exceptions import OutputBusy, OutputUnwritable, PositionUnreadable
from ..readers.export import said_after
from ..readers.export_formats import Format
from ..vendors.types import BEGINNING
from .options import start_after
from .terminal import Nowhere

#: Bytes of a file's end that hold its last record if that ends an export.
TAIL = 4096
CHUNK = 1 << 20


class Output(ABC):
    """Takes the bytes of an export, a page at a time."""

    #: Whether the export begins here, and not after an earlier one.
    fresh = True

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Write whole records."""

    def commit(self) -> None:  # noqa: B027 - most have nothing to do
        """Make what was written last."""

    def close(self, *, whole: bool) -> None:  # noqa: B027
        """End; without `whole`, what was written is part of an export only."""


class StreamOutput(Output):
    """Standard output, or what a caller of the command takes for it."""

    def __init__(self, stream: Any) -> None:
        if isinstance(getattr(stream, "_out", stream), Nowhere):
            raise OutputUnwritable(path="standard output", reason="It is closed")
        self._stream = stream
        self._bytes = getattr(stream, "buffer", None)

    def write(self, data: bytes) -> None:
        if self._bytes is None:
            self._stream.write(data.decode(), ending="")
            return
        self._stream.flush()
        self._bytes.write(data)
        self._bytes.flush()


class FileOutput(Output):
    """A file; an error while writing names it."""

    _file: BinaryIO

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, error: OSError) -> OutputUnwritable:
        return OutputUnwritable(path=self.path, reason=error.strerror or error)


class NewFile(FileOutput):
    """A file that is there whole, or as it was before."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._target = Path(os.path.realpath(path))
        # Anything but a file, such as /dev/null or a named pipe, is written to as it is.
        self._in_place = self._target.exists() and not self._target.is_file()
        self._part = self._target.parent / f".{self._target.name}.{os.getpid()}.part"
        try:
            self._file = (self._target if self._in_place else self._part).open("wb")
            if self._target.is_file():
                os.fchmod(self._file.fileno(), stat.S_IMODE(self._target.stat().st_mode))
        except OSError as error:
            raise self.error(error) from error

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self.error(error) from error

    def close(self, *, whole: bool) -> None:
        try:
            if whole:
                self._file.flush()
                if not self._in_place:
                    os.fsync(self._file.fileno())
                    self._part.replace(self._target)
        except OSError as error:
            raise self.error(error) from error
        finally:
            with suppress(OSError):
                self._file.close()
            if not self._in_place:
                self._part.unlink(missing_ok=True)


class AppendedFile(FileOutput):
    """A file that grows by whole pages; a record that a killed export left unfinished is cut off.

    It is locked: two exports never write into it at once.
    """

    def __init__(self, path: Path, form: Format) -> None:
        import fcntl  # Windows has none

        super().__init__(path)
        try:
            self._file = path.open("ab+", buffering=0)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                raise OutputBusy(path=path) from None
            if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._repair(form)
                self.fresh = self._size() == 0
        except OSError as error:
            raise self.error(error) from error

    def write(self, data: bytes) -> None:
        before = self._size()
        try:
            written = 0
            while written < len(data):  # a disk that gets full takes a part
                written += self._file.write(data[written:]) or 0
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(before)
            raise self.error(error) from error

    def commit(self) -> None:
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # no file, such as a pipe
                raise self.error(error) from error

    def close(self, *, whole: bool) -> None:
        self._file.close()

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _repair(self, form: Format) -> None:
        size = self._size()
        self._file.seek(max(0, size - TAIL))
        if size and not form.whole(self._file.read(TAIL)):
            self._file.truncate(self._records_end(quoted=form.suffix == "csv"))

    def _records_end(self, *, quoted: bool) -> int:
        """Return where the last whole record ends; an end of line in quotes ends none."""
        end = place = quotes = 0
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            for line in chunk.splitlines(keepends=True):
                place += len(line)
                quotes += line.count(b'"') if quoted else 0
                if line.endswith(b"\n") and quotes % 2 == 0:
                    end = place
        return end


class Position:
    """A file that holds the ID from which the next export continues."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> int:
        """Return the ID; the beginning of the log if the file does not exist.

        :raises PositionUnreadable: if it holds something else.
        """
        try:
            text = self.path.read_text(errors="replace").strip()
        except FileNotFoundError:
            return BEGINNING
        except OSError as error:
            raise PositionUnreadable(path=self.path, reason=error.strerror) from error
        try:
            return start_after(text)
        except ArgumentTypeError:
            reason = f"it holds {text[:40]!r}, not an ID"
            raise PositionUnreadable(path=self.path, reason=reason) from None

    def store(self, reached: int) -> None:
        """Replace the ID; after a crash the file holds this one or the one before."""
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with part.open("w") as file:
                file.write(f"{said_after(reached)}\n")
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputUnwritable(path=self.path, reason=error.strerror) from error
