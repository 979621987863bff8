"""Rows completed with what lists do not hold: kept as long as completing them again would bring the same."""

import math
import time
from collections.abc import Sequence
from typing import Any, cast

import pytest

from adapters.errors import AdapterError, Unreachable
from adapters.model import Connection
from adapters.port import Completed, Fields
from gateway import completions
from gateway.completions import Completions
from tests.gateway.listed import Listed, connection, instances_of

NAMED, DESCRIBED = frozenset({"name"}), frozenset({"description"})


class Naming(Listed):
    """Gives rows the name that is in force. ``asked`` are the ids of each call."""

    def __init__(self) -> None:
        super().__init__("a", {}, lacks_names=True)
        self.asked: list[str] = []
        self.name = "one"
        self.good_until = math.inf
        self.failures: tuple[AdapterError, ...] = ()
        self.error: AdapterError | None = None

    def adds(self, fields: Fields) -> bool:
        return bool(fields & (NAMED | DESCRIBED))

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        self.asked.append("".join(row.native_id for row in connections))
        if self.error is not None:
            raise self.error
        rows = tuple(connection(native_id=row.native_id, name=self.name) for row in connections)
        return Completed(rows, self.failures, self.good_until)


class Completing:
    def __init__(self) -> None:
        self.adapter = Naming()
        self.instance = instances_of(self.adapter)["a"]
        self.completions = Completions()

    async def __call__(self, rows: Sequence[Connection], fields: Fields = NAMED) -> Completed:
        return cast("Completed", await self.completions.of(self.instance, rows, fields))


@pytest.fixture
def complete() -> Completing:
    return Completing()


ROWS = [connection(native_id=id) for id in "123"]


def names(completed: Completed) -> list[Any]:
    return [row.name for row in completed.connections]


async def test_the_same_rows_are_completed_once_and_are_the_same_objects(complete: Completing):
    first = await complete(ROWS)
    again = await complete(ROWS[::-1])
    assert (names(first), complete.adapter.asked) == (["one"] * 3, ["123"])
    assert all(map(lambda one, other: one is other, first.connections[::-1], again.connections))


async def test_rows_that_are_new_and_other_fields_are_asked_for(complete: Completing):
    await complete(ROWS[:2])
    new = connection(native_id="4")
    found = await complete([ROWS[0], new, ROWS[1], ROWS[2]])
    assert [row.native_id for row in found.connections] == ["1", "4", "2", "3"]
    await complete(ROWS[:1], NAMED | DESCRIBED)
    await complete([connection(native_id="1")])
    assert complete.adapter.asked == ["12", "43", "1", "1"]


async def test_what_is_kept_is_known_without_asking(complete: Completing):
    known = complete.completions.known
    assert known(ROWS[0], NAMED) is None
    completed = (await complete(ROWS)).connections
    assert known(ROWS[1], NAMED) is completed[1]
    assert known(ROWS[1], NAMED | DESCRIBED) is None
    assert known(connection(native_id="2"), NAMED) is None
    complete.adapter.good_until = time.monotonic()  # which is over at once
    await complete(ROWS, DESCRIBED)
    assert known(ROWS[1], DESCRIBED) is None
    assert complete.adapter.asked == ["123", "123"]


async def test_what_nothing_is_added_to_is_given_as_it_is(complete: Completing):
    found = await complete(ROWS, frozenset({"status"}))
    assert found.connections == tuple(ROWS)
    assert complete.adapter.asked == []


async def test_what_is_good_for_a_while_is_asked_for_again_after_it_and_is_the_same_where_it_is_as_it_was(
    complete: Completing, monkeypatch: pytest.MonkeyPatch
):
    now = time.monotonic()
    complete.adapter.good_until = now + 60
    first = await complete(ROWS)
    monkeypatch.setattr(time, "monotonic", lambda: now + 59)
    assert (await complete(ROWS)).connections[0] is first.connections[0]
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    complete.adapter.good_until = now + 120
    again = await complete(ROWS)
    assert complete.adapter.asked == ["123", "123"]
    assert all(map(lambda one, other: one is other, first.connections, again.connections))
    monkeypatch.setattr(time, "monotonic", lambda: now + 121)
    complete.adapter.name, complete.adapter.good_until = "two", now + 180
    assert names(await complete(ROWS)) == ["two"] * 3
    assert names(await complete(ROWS)) == ["two"] * 3
    assert complete.adapter.asked == ["123"] * 3


async def test_what_failed_is_told_and_asked_for_again(complete: Completing):
    complete.adapter.failures, complete.adapter.good_until = (Unreachable("no names today"),), 0.0
    assert (await complete(ROWS)).failures
    complete.adapter.failures, complete.adapter.name, complete.adapter.good_until = (), "two", math.inf
    assert names(await complete(ROWS)) == ["two"] * 3
    complete.adapter.error = Unreachable("not at all")
    failed: Any = await complete([*ROWS, connection(native_id="4")])
    assert isinstance(failed, Unreachable)
    assert failed.instance == "a"
    assert names(await complete(ROWS)) == ["two"] * 3
    assert complete.adapter.asked == ["123", "123", "4"]


async def test_what_is_kept_is_bounded(complete: Completing, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completions, "KEPT", 10)
    for number in range(30):
        rows = [connection(native_id=f"{number}{at}") for at in range(4)]
        assert [row.native_id for row in (await complete([*ROWS, *rows])).connections[3:]] == [
            row.native_id for row in rows
        ]
        assert len(complete.completions._kept) <= 10
    assert len((await complete([connection(native_id=str(at)) for at in range(50)])).connections) == 50
    assert len(complete.completions._kept) <= 10
