"""The ledger: what was done under a key is kept, for all who share the file, for as long as it is to be."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from adapters.errors import ConfigurationError
from gateway import app, config
from gateway.ledger import Ended, Entry, KeyReused, Ledger, UnderWay
from gateway.schema.providers import PROVIDERS
from gateway.versions import Versions

ENTRY = Entry("frontend", "k", b"what was asked")
DAY_S = 86_400.0


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["in memory", "in a file"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncGenerator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.db" if request.param == "in a file" else None, DAY_S, clock)
    yield ledger
    ledger.close()


async def test_the_first_begins_and_others_are_given_its_outcome(ledger: Ledger):
    assert await ledger.begin(ENTRY, 60, 0) is None
    await ledger.end(ENTRY, b"done")
    assert await ledger.begin(ENTRY, 60, 0) == b"done"


async def test_another_input_is_told_apart(ledger: Ledger):
    await ledger.begin(ENTRY, 60, 0)
    for _ in range(2):  # while it goes on, and after it
        with pytest.raises(KeyReused):
            await ledger.begin(ENTRY._replace(fingerprint=b"something else"), 60, 0)
        await ledger.end(ENTRY, b"done")


async def test_callers_have_keys_of_their_own(ledger: Ledger):
    await ledger.begin(ENTRY, 60, 0)
    assert await ledger.begin(ENTRY._replace(caller="backend"), 60, 0) is None


async def test_who_comes_meanwhile_waits_for_the_outcome(ledger: Ledger):
    await ledger.begin(ENTRY, 60, 0)
    waiting = asyncio.create_task(ledger.begin(ENTRY, 60, 30))
    await asyncio.sleep(0)
    await ledger.end(ENTRY, b"done")
    assert await waiting == b"done"


async def test_who_cannot_wait_is_told_that_it_goes_on(ledger: Ledger):
    await ledger.begin(ENTRY, 60, 0)
    with pytest.raises(UnderWay):
        await ledger.begin(ENTRY, 60, 0)


async def test_what_nobody_ended_in_its_time_is_told_to_have_ended_somehow(ledger: Ledger, clock: Clock):
    await ledger.begin(ENTRY, 60, 0)
    clock.now += 61
    with pytest.raises(Ended):
        await ledger.begin(ENTRY, 60, 0)


async def test_a_key_is_not_free_as_long_as_its_outcome_may_come(ledger: Ledger, clock: Clock):
    await ledger.begin(ENTRY, 2 * DAY_S, 0)
    clock.now += DAY_S + 1
    with pytest.raises(UnderWay):
        await ledger.begin(ENTRY, 60, 0)
    clock.now += DAY_S
    assert await ledger.begin(ENTRY, 60, 0) is None


async def test_what_was_dropped_can_be_begun_anew(ledger: Ledger):
    await ledger.begin(ENTRY, 60, 0)
    await ledger.drop(ENTRY)
    assert await ledger.begin(ENTRY._replace(fingerprint=b"something else"), 60, 0) is None


async def test_outcomes_and_tasks_are_forgotten_in_time(ledger: Ledger, clock: Clock):
    await ledger.begin(ENTRY, 60, 0)
    await ledger.end(ENTRY, b"done")
    await ledger.note("t", "frontend", b"task")
    clock.now += DAY_S - 1
    assert await ledger.begin(ENTRY, 60, 0) == b"done"
    assert await ledger.task("t", "frontend") == b"task"
    clock.now += 2
    assert await ledger.task("t", "frontend") is None
    assert await ledger.begin(ENTRY, 60, 0) is None


async def test_a_task_is_told_as_it_was_noted_last_and_to_nobody_else(ledger: Ledger):
    await ledger.note("t", "frontend", b"begun")
    await ledger.note("t", "frontend", b"ended")
    assert await ledger.task("t", "frontend") == b"ended"
    assert await ledger.task("t", "backend") is None
    assert await ledger.task("u", "frontend") is None


async def test_a_file_is_shared_and_is_nobody_elses_to_read(tmp_path: Path, clock: Clock):
    path = tmp_path / "ledger.db"
    one, other = Ledger(path, DAY_S, clock), Ledger(path, DAY_S, clock)
    begun = await asyncio.gather(*(ledger.begin(ENTRY, 60, 0) for ledger in (one, other)), return_exceptions=True)
    assert sorted(map(type, begun), key=str) == sorted([type(None), UnderWay], key=str)
    await one.end(ENTRY, b"done")
    assert await other.begin(ENTRY, 60, 0) == b"done"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    one.close()
    other.close()


@pytest.mark.parametrize("place", ["missing/ledger.db", "a file/ledger.db", "text.db"])
def test_a_place_that_cannot_hold_it_stops_the_start(tmp_path: Path, place: str):
    (tmp_path / "a file").touch()
    (tmp_path / "text.db").write_text("this is no database, and longer than the head of one would have to be" * 9)
    told = {"instances": {"x": {"provider": "unified_to"}}, "writes": {"ledger": str(tmp_path / place)}}
    with pytest.raises(ConfigurationError, match=r"^writes\.ledger: cannot be used"):
        app.create(config.settings(told, PROVIDERS))


def test_versions_count_for_all_who_share_the_file(tmp_path: Path):
    one, other = Versions(tmp_path / "versions"), Versions(tmp_path / "versions")
    alone = Versions()
    for versions in (one, alone):
        before = versions.of("a"), versions.of("b"), other.of("a")
        versions.changed("a")
        assert versions.of("a") != before[0]
        assert versions.of("b") == before[1]
        assert (other.of("a") != before[2]) is (versions is one)
    assert other.of("a") == one.of("a")


def test_who_looks_at_the_latest_change_alone_misses_none(tmp_path: Path):
    one, other = Versions(tmp_path / "versions"), Versions(tmp_path / "versions")
    for changed, seen in ((one, other), (other, one), (Versions(),) * 2):
        met = {seen.latest}
        for instance in ("a", "b", "a"):
            changed.changed(instance)
            met.add(seen.latest)
        assert len(met) == 4
    assert one.latest == other.latest != Versions().latest


def test_nobody_meets_a_number_that_nobody_wrote(tmp_path: Path):
    place, met = tmp_path / "versions", set[int]()
    reading = Versions(place)
    reading.changed("a")
    ends_at = time.monotonic() + 30
    write = f"from gateway.versions import Versions; from pathlib import Path; v = Versions(Path({str(place)!r}))"
    with subprocess.Popen([sys.executable, "-c", f"{write}\nfor _ in range(100_000): v.changed('a')"]) as writing:
        while writing.poll() is None and time.monotonic() < ends_at:
            met |= {reading.latest, reading.of("a")}
    assert writing.returncode == 0
    assert len(met) > 100
    assert 0 not in met


def test_a_file_of_an_earlier_release_is_made_longer(tmp_path: Path):
    place = tmp_path / "versions"
    place.write_bytes(bytes(8 * 1024))
    versions = Versions(place)
    versions.changed("a")
    assert versions.latest == Versions(place).latest != 0


class Full(Ledger):
    """In a file that grows no further."""

    async def fill(self, pages: int) -> None:
        await self._do(lambda: self._database.execute(f"PRAGMA max_page_count = {pages}").fetchone())


async def test_a_disk_that_is_full_is_told_as_what_it_is_and_nothing_stays_begun(tmp_path: Path, clock: Clock):
    ledger = Full(tmp_path / "ledger.db", DAY_S, clock)
    await ledger.fill(12)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await ledger.note("t", "frontend", b"x" * 100_000)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await ledger.begin(ENTRY._replace(key="k" * 60_000), 60, 0)
    await ledger.fill(1000)
    assert await ledger.begin(ENTRY._replace(key="k" * 60_000), 60, 0) is None
    ledger.close()
