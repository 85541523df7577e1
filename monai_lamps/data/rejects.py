# Copyright (c) monai_lamps contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The list of files that were set aside, and why."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has none: writers from several processes are then not kept apart
    fcntl = None  # type: ignore[assignment]

__all__ = ["RejectLog"]

_HEADER = ("file", "reason")
_MARK = 64  # bytes that tell whether a list is the one that was read before


class RejectLog:
    """A CSV file with the header ``file,reason``: every rejected file once.

    Safe from many processes (data loader workers, ranks) and over resumed runs: each call opens the file, takes an
    ``fcntl`` lock on it, appends what is new, flushes and fsyncs. A line that a crash left unfinished is closed before
    the next one is written. What was read before is not read again, so an entry costs the same however long the list
    has grown. It can be pickled into workers.

    Args:
        path: the CSV file; it and its folder are made at the first entry.

    Example::

        log = RejectLog("out/rejected.csv")
        log.add("a.png", "empty file (0 bytes)")  # True
        log.add("a.png", "again")  # False: known already
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._forget()

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, state: Path) -> None:
        self.path = state
        self._forget()

    def add(self, file: str | os.PathLike[str], reason: str) -> bool:
        """Record one file.

        Args:
            file: the file.
            reason: why, put on one line.

        Returns:
            True when the file was not in the list before.

        Raises:
            OSError: when the list cannot be written (the text names it).
        """
        return self.extend([(os.fspath(file), reason)]) == 1

    def extend(self, rows: Iterable[tuple[str, str]]) -> int:
        """Record many files under one lock.

        Args:
            rows: pairs of file and reason.

        Returns:
            How many of them were not in the list before.
        """
        return self._write(rows, keep=True)

    def replace(self, rows: Iterable[tuple[str, str]]) -> int:
        """Make a new list of these files under one lock, and forget what was in it.

        Args:
            rows: pairs of file and reason.

        Returns:
            How many files the list has now.
        """
        return self._write(rows, keep=False)

    def _write(self, rows: Iterable[tuple[str, str]], keep: bool) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as handle:
            _lock(handle, exclusive=True)
            if not keep:
                handle.truncate(0)
            rest = self._read(handle)
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            if not self._end and not rest:
                writer.writerow(_HEADER)
            elif rest.count(b'"') % 2:  # within quotes
                text.write('"\n')
            elif rest:
                text.write("\n")
            known = {file for file, _ in _rows(rest, self._end)}
            new = 0
            for file, reason in rows:
                file = os.fspath(file)
                if file not in known and file not in self._known:
                    known.add(file)
                    writer.writerow((file, " ".join(str(reason).split())))
                    new += 1
            if text.tell():
                handle.write(text.getvalue().encode("utf-8", errors="surrogateescape"))
                handle.flush()
                os.fsync(handle.fileno())
        return new

    def files(self) -> set[str]:
        """The rejected files; empty when there is no list yet."""
        return {file for file, _ in self.rows()}

    def rows(self, start: int = 0) -> list[tuple[str, str]]:
        """Pairs of file and reason in the order of their entry.

        Args:
            start: number of entries to leave out, because the caller has seen them.
        """
        try:
            with open(self.path, "rb") as handle:
                _lock(handle, exclusive=False)
                cut = _rows(self._read(handle), self._end)
        except FileNotFoundError:
            self._forget()
            return []
        count = len(self._entries)
        return [*self._entries[start:], *cut[max(start - count, 0) :]]

    def __len__(self) -> int:
        return len(self.files())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def _forget(self) -> None:
        self._entries: list[tuple[str, str]] = []
        self._known: set[str] = set()
        self._inode = (-1, -1)
        self._end = 0  # bytes that were read
        self._mark = b""  # the last of them

    def _read(self, handle: IO[bytes]) -> bytes:
        """Take in what was written since the last time; returns an end that was not, because a crash cut it short."""
        status = os.fstat(handle.fileno())
        inode = (status.st_dev, status.st_ino)
        handle.seek(max(self._end - _MARK, 0))
        if inode != self._inode or handle.read(len(self._mark)) != self._mark:  # another list
            self._forget()
            self._inode = inode
        handle.seek(self._end)
        content = handle.read()
        if not content.endswith(b"\n") or content.count(b'"') % 2:
            return content
        rows = _rows(content, self._end)
        self._entries += rows
        self._known.update(file for file, _ in rows)
        self._end += len(content)
        self._mark = (self._mark + content)[-_MARK:]
        return b""


def _rows(content: bytes, start: int) -> list[tuple[str, str]]:
    """Parse the part of a list that starts at a byte; a first line that is no header counts as an entry."""
    text = content.decode("utf-8", errors="surrogateescape")
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    if not start and rows and tuple(rows[0]) == _HEADER:
        rows = rows[1:]
    return [(row[0], row[1] if len(row) > 1 else "") for row in rows]


def _lock(handle: IO[bytes], exclusive: bool) -> None:
    """Wait for the file's lock, which is given up when it is closed."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
