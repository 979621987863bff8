"""What was done under which idempotency key, and what the tasks that are followed came to: a small database in a file.

A file, because workers share it and because an outcome outlives the process: whoever asks again after a restart is
answered what happened, and nothing happens twice. What was begun is written down before it is sent.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

_TABLES = """
CREATE TABLE IF NOT EXISTS outcomes (
    caller TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL,
    open_until REAL NOT NULL, expires REAL NOT NULL, outcome BLOB, PRIMARY KEY (caller, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
    id TEXT PRIMARY KEY, caller TEXT NOT NULL, expires REAL NOT NULL, record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcomes_by_end ON outcomes (expires);
CREATE INDEX IF NOT EXISTS tasks_by_end ON tasks (expires);
"""
BUSY_S = 5.0
"""How long another worker may hold the file."""
POLL_S = 0.05


class Entry(NamedTuple):
    """A key of a caller's, and what tells the input that came with it from others."""

    caller: str
    key: str
    fingerprint: bytes


class KeyReused(Exception):
    """The key was sent before, with another input."""


class UnderWay(Exception):
    """What the key was first sent with still goes on, and there is no time left to wait for its end."""


class Ended(Exception):
    """What the key was first sent with was begun, and nobody is left who would write down what came of it."""


class Ledger:
    """One file, at ``path``, or the memory of this process where there is none; opened when it is first needed.
    Outcomes are kept ``kept_s`` seconds."""

    def __init__(self, path: Path | None, kept_s: float, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._kept_s = kept_s
        self._clock = clock
        self._opened: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def begin(self, entry: Entry, lasts_s: float, wait_s: float) -> bytes | None:
        """None where this is the first time, and it may take ``lasts_s`` seconds from now: who begins it must `end` or
        `drop` it. Else what came of it the first time, waited for at most ``wait_s`` seconds.

        Raises KeyReused, UnderWay and Ended.
        """
        stop = time.monotonic() + wait_s
        while True:
            found = await self._do(lambda: self._begun(entry, lasts_s))
            if found is None or found[0] is not None:
                return None if found is None else found[0]
            if found[1] <= self._clock():
                raise Ended
            if time.monotonic() >= stop:
                raise UnderWay
            await asyncio.sleep(POLL_S)

    async def end(self, entry: Entry, outcome: bytes) -> None:
        """Keep what came of it."""
        row = outcome, entry.caller, entry.key
        await self._do(lambda: self._committed("UPDATE outcomes SET outcome = ? WHERE caller = ? AND key = ?", row))

    async def drop(self, entry: Entry) -> None:
        """Nothing came of it, and the key is free again."""
        row = entry.caller, entry.key
        await self._do(lambda: self._committed("DELETE FROM outcomes WHERE caller = ? AND key = ?", row))

    async def note(self, id: str, caller: str, record: bytes) -> None:
        """Keep the present state of a task."""
        row = id, caller, self._clock() + self._kept_s, record
        await self._do(lambda: self._committed("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?)", row))

    async def task(self, id: str, caller: str) -> bytes | None:
        """The last that was noted of a task of this caller's."""
        where = id, caller, self._clock()
        statement = "SELECT record FROM tasks WHERE id = ? AND caller = ? AND expires > ?"
        found = await self._do(lambda: self._database.execute(statement, where).fetchone())
        return None if found is None else found[0]

    def close(self) -> None:
        """Close the file, or forget."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._opened is not None:
            self._opened.close()

    async def _do(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            # One thread: writes come in order, and the loop does not wait for a disk.
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = opened(self._path)
        return self._opened

    def _begun(self, entry: Entry, lasts_s: float) -> tuple[bytes | None, float] | None:
        """None where it is begun by this; else the outcome, if there is one, and until when one may still come."""
        now = self._clock()
        with self._transaction():
            for table in ("outcomes", "tasks"):
                self._database.execute(f"DELETE FROM {table} WHERE expires <= ?", (now,))  # noqa: S608  our own words
            row = *entry, now + lasts_s, now + max(lasts_s, self._kept_s)  # or it could be begun twice at a time
            added = self._database.execute("INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?, ?, ?, NULL)", row)
            if added.rowcount:
                return None
            statement = "SELECT fingerprint, outcome, open_until FROM outcomes WHERE caller = ? AND key = ?"
            fingerprint, outcome, open_until = self._database.execute(statement, entry[:2]).fetchone()
        if fingerprint != entry.fingerprint:
            raise KeyReused
        return outcome, open_until

    def _committed(self, statement: str, values: tuple[object, ...]) -> None:
        with self._transaction():
            self._database.execute(statement, values)

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # where a disk is full, SQLite has rolled back by itself
                self._database.execute("ROLLBACK")
            raise


def opened(path: Path | None) -> sqlite3.Connection:
    """The database in a file, made where it is not there; in memory without one. Raises OSError and sqlite3.Error where
    it cannot be used."""
    if path is not None:
        # Credentials are in no outcome, but who ran what is nobody else's business.
        path.touch(mode=0o600, exist_ok=True)
    database = sqlite3.connect(path or ":memory:", timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_TABLES)
    except BaseException:
        database.close()
        raise
    return database
