"""What is kept of lists: for how long, for whom, what of it stays the same object, and what is read of the upstream."""

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from adapters import deadline
from adapters.errors import AdapterError, RateLimited, Rejected, TimedOut, Unreachable, Unsupported
from adapters.model import Connection
from adapters.port import LIST_FIELDS, List, Narrowing, Order, OrderField, Page
from adapters.walk import Bounds
from gateway import orders
from gateway.instances import Instance
from gateway.inventory import Ages, Ask, Inventory, Shelf, Snapshot
from tests.gateway.listed import NOON, Listed, connection, drawn, instance_of

LONG, SHORT = 600.0, 0.05
"""Seconds that no test takes, and seconds that a test can wait."""
NAME = Order(OrderField.NAME)
NAMED = frozenset({"name"})
ROOMY = Bounds(1000, 1_000_000)


def rows_of(count: int, instance: str = "a") -> list[Connection]:
    return [connection(instance, f"{number:03}", name=f"name {number:03}") for number in range(count)]


def by_name(rows: Sequence[Connection], order: Order) -> Sequence[Connection]:
    return sorted(rows, key=lambda row: orders.key((order,), row))


class Kept:
    """An inventory over one instance with one list, and somebody who asks it."""

    def __init__(
        self,
        adapter: Listed,
        *,
        max_age: float = LONG,
        max_stale: float = LONG,
        walk_timeout: float = LONG,
        bounds: Bounds = ROOMY,
    ) -> None:
        self.adapter = adapter
        self.max_age = max_age
        self.inventory = Inventory(Ages(max_age, max_stale, walk_timeout), bounds)
        self.instance: Instance = instance_of(adapter)

    @property
    def shelf(self) -> Shelf:
        return self.inventory.shelf(self.instance, List(""))

    def ask(self, max_age: float | None = None) -> Ask:
        """What a request that begins now asks for."""
        asked = self.max_age if max_age is None else max_age
        return Ask(asked, time.monotonic(), takes_refreshing=max_age is None)

    async def whole(self, max_age: float | None = None) -> Snapshot:
        return await self.shelf.whole(self.ask(max_age))

    @property
    def reads(self) -> int:
        return len(self.adapter.reads)


def short(**options: Any) -> Kept:
    """A list of three rows, which is one page."""
    return Kept(Listed("a", {"": rows_of(3)}), **options)


def long(count: int = 10, **options: Any) -> Kept:
    """A list of several pages."""
    return Kept(Listed("a", {"": rows_of(count)}, page=3, sort=by_name), **options)


async def settled(condition: Callable[[], bool]) -> None:
    """Wait until something that is under way is so."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  a condition of whatever kind
            await asyncio.sleep(0.001)


def ids_of(snapshot: Snapshot) -> list[str]:
    return [row.native_id for row in snapshot.walked.rows]


# How often it is read


async def test_fifty_who_ask_at_once_are_answered_by_one_walk():
    kept = long()
    found = await asyncio.gather(*(kept.whole() for _ in range(50)))
    assert all(each is found[0] for each in found)
    assert ids_of(found[0]) == ids_of(await kept.whole()) == [row.native_id for row in rows_of(10)]
    assert kept.reads == 4


async def test_a_list_of_one_page_is_known_by_its_first_page_in_whichever_order():
    kept = short()
    found = await kept.shelf.open(kept.ask(), NAME)
    assert found is not None
    assert await kept.whole() is found
    assert kept.adapter.reads == [(List("", order=NAME), None)]


async def test_a_list_of_several_pages_is_not_opened_twice():
    kept = long()
    assert await kept.shelf.open(kept.ask(), NAME) is None
    assert kept.shelf.is_long
    assert await kept.shelf.open(kept.ask(), NAME) is None
    assert (await kept.shelf.page(kept.ask(), NAME, None)).page.next == "3"
    assert kept.reads == 1


async def test_the_first_page_of_a_walk_is_the_one_that_was_just_read():
    kept = long()
    assert await kept.shelf.open(kept.ask(), None) is None
    await kept.whole()
    assert [token for _, token in kept.adapter.reads] == [None, "3", "6", "9"]


async def test_tokens_that_are_known_before_are_read_abreast():
    kept = Kept(Listed("a", {"": rows_of(60)}, page=3, is_counted=True))
    kept.adapter.gate.clear()
    asked = asyncio.ensure_future(kept.whole())
    await settled(lambda: kept.reads == 1)
    kept.adapter.gate.set()
    found = await asked
    assert ids_of(found) == [row.native_id for row in rows_of(60)]


async def test_what_is_fresh_is_not_read_again_and_what_is_too_old_is():
    kept = short(max_age=SHORT)
    first = await kept.whole()
    kept.adapter.lists[""].pop()
    assert await kept.whole() is first
    assert kept.reads == 1
    await asyncio.sleep(3 * SHORT)
    assert len(ids_of(await kept.whole())) == 2
    assert kept.reads == 2


async def test_a_page_is_kept_as_long_as_a_snapshot():
    kept = long(max_age=SHORT)
    page = await kept.shelf.page(kept.ask(), NAME, "3")
    assert await kept.shelf.page(kept.ask(), NAME, "3") is page
    assert kept.reads == 1
    await asyncio.sleep(3 * SHORT)
    assert (await kept.shelf.page(kept.ask(), NAME, "3")).page == page.page
    assert kept.reads == 2


async def test_fifty_who_ask_for_one_page_at_once_are_answered_by_one_call():
    kept = long()
    pages = await asyncio.gather(*(kept.shelf.page(kept.ask(), NAME, "3") for _ in range(50)))
    assert all(page is pages[0] for page in pages)
    assert kept.reads == 1


async def test_orders_and_tokens_are_told_apart():
    kept = long()
    down = Order(OrderField.NAME, True)
    pages = [await kept.shelf.page(kept.ask(), order, token) for order in (None, NAME, down) for token in (None, "3")]
    assert kept.reads == 6
    assert pages[2].page != pages[3].page != pages[4].page


async def test_max_age_zero_reads_anew_every_time():
    kept = short(max_age=0.0)
    await kept.whole()
    await kept.whole()
    assert kept.reads == 2


async def test_who_asks_for_max_age_zero_reads_what_others_are_answered_from_memory():
    kept = short()
    first = await kept.whole()
    kept.adapter.lists[""].pop()
    assert await kept.whole() is first
    assert len(ids_of(await kept.whole(max_age=0))) == 2
    assert len(ids_of(await kept.whole())) == 2
    assert kept.reads == 2


@pytest.mark.parametrize(("make", "most"), [(short, 2), (long, 8)])
async def test_who_asks_for_max_age_zero_is_never_answered_by_a_reading_that_began_before(
    make: Callable[..., Kept], most: int
):
    kept = make()
    kept.adapter.gate.clear()
    early = asyncio.ensure_future(kept.whole())
    await settled(lambda: kept.reads == 1)
    kept.adapter.lists[""].pop(0)  # after the upstream has made up its answer
    late = asyncio.gather(*(kept.whole(max_age=0) for _ in range(20)))
    await asyncio.sleep(0.01)
    kept.adapter.gate.set()
    assert ids_of(await early)[0] == "000"
    assert {ids_of(found)[0] for found in await late} == {"001"}
    assert kept.reads <= most, "those who asked since share one more"


async def test_two_fields_of_one_request_share_what_was_read_since_it_began():
    kept = short(max_age=0.0)
    request = Ask(0.0, time.monotonic(), takes_refreshing=False)
    assert await kept.shelf.whole(request) is await kept.shelf.whole(request)
    assert kept.reads == 1


# While it is read anew


async def refreshing(kept: Kept) -> "asyncio.Task[Snapshot]":
    """Somebody who reads what is too old anew, and is held up at it."""
    kept.adapter.gate.clear()
    reads = kept.reads
    task = asyncio.ensure_future(kept.whole(max_age=0))
    await settled(lambda: kept.reads > reads)
    return task


@pytest.mark.parametrize("make", [short, long])
async def test_while_one_reads_it_anew_others_are_served_what_there_is(make: Callable[..., Kept]):
    kept = make(max_age=0.5)
    first = await kept.whole()
    task = await refreshing(kept)
    await asyncio.sleep(0.6)  # older than fresh, but not twice as old
    async with asyncio.timeout(0.2):
        assert await kept.whole() is first
    kept.adapter.gate.set()
    assert (await task).span.began > first.span.began or (await task) is first


async def test_what_is_much_too_old_is_waited_for_all_the_same():
    kept = short(max_age=SHORT)
    await kept.whole()
    await asyncio.sleep(4 * SHORT)
    task = await refreshing(kept)
    kept.adapter.lists[""].pop()
    waiting = asyncio.ensure_future(kept.whole())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    kept.adapter.gate.set()
    assert await waiting is await task


async def test_who_has_a_demand_of_its_own_waits_for_what_is_being_read():
    kept = short(max_age=0.5)
    await kept.whole()
    await refreshing(kept)
    await asyncio.sleep(0.6)
    waiting = asyncio.ensure_future(kept.whole(max_age=0.4))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    kept.adapter.gate.set()
    await waiting


async def test_who_runs_out_of_time_leaves_the_reading_to_the_next():
    kept = long()
    kept.adapter.gate.clear()
    with deadline.within(0.03), pytest.raises(TimedOut):
        await kept.whole()
    assert kept.reads == 1
    waiting = asyncio.ensure_future(kept.whole())
    await asyncio.sleep(0)
    kept.adapter.gate.set()
    assert len(ids_of(await waiting)) == 10
    assert kept.reads == 4, "it was the same walk"


async def test_a_reading_that_everybody_ran_out_of_time_for_is_kept():
    kept = long()
    kept.adapter.gate.clear()
    with deadline.within(0.03), pytest.raises(TimedOut):
        await kept.whole()
    kept.adapter.gate.set()
    await settled(lambda: kept.shelf.snapshot is not None or kept.shelf.is_long)
    await kept.whole()
    assert kept.reads == 4


async def test_when_the_last_who_waits_goes_away_the_reading_ends():
    kept = long()
    kept.adapter.gate.clear()
    waiting = [asyncio.ensure_future(kept.whole()) for _ in range(2)]
    await settled(lambda: kept.reads == 1)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert not waiting[1].done()
    waiting[1].cancel()
    await asyncio.wait(waiting)
    await asyncio.sleep(0.01)
    kept.adapter.gate.set()
    await asyncio.sleep(0.01)
    assert kept.reads == 1
    assert len(ids_of(await kept.whole())) == 10
    assert kept.reads == 5


async def test_the_time_for_reading_is_its_own_however_much_the_first_who_asked_had_left():
    kept = long(walk_timeout=LONG)
    seen: list[float | None] = []
    read = kept.adapter.read

    async def noting(of: List, **options: Any) -> Any:
        seen.append(deadline.remaining())
        return await read(of, **options)

    kept.adapter.read = noting  # type: ignore[method-assign]
    with deadline.within(30):
        await kept.whole()
    assert len(seen) == kept.reads == 4
    assert all(left is not None and left > 60 for left in seen)


async def test_closing_ends_what_is_being_read():
    kept = long()
    kept.adapter.gate.clear()
    waiting = asyncio.ensure_future(kept.whole())
    await settled(lambda: kept.reads == 1)
    kept.inventory.close()
    with pytest.raises(TimedOut):
        await waiting


# When it cannot be read


async def failing(kept: Kept, error: AdapterError, max_age: float | None = None) -> AdapterError:
    """The error that asking raises while the upstream fails with this one."""
    kept.adapter.failing = error
    with pytest.raises(AdapterError) as caught:
        await kept.whole(max_age)
    return caught.value


async def test_a_failure_names_its_instance_and_is_kept_as_long_as_an_answer():
    kept = long(max_age=2 * SHORT)
    error = await failing(kept, Unreachable("nobody answers"))
    assert (error.instance, error.provider) == ("a", "airbyte")
    assert await failing(kept, error) is error
    assert kept.reads == 1
    await asyncio.sleep(4 * SHORT)
    await failing(kept, error)
    assert kept.reads == 2


async def test_a_failure_that_is_raised_again_keeps_nobody_alive():
    kept = long()
    error = await failing(kept, Unreachable("nobody answers"))

    def depth() -> int:
        at, count = error.__traceback__, 0
        while at is not None:
            at, count = at.tb_next, count + 1
        return count

    await failing(kept, error)
    once = depth()
    for _ in range(20):
        await failing(kept, error)
    assert depth() == once


async def test_a_failure_does_not_hide_what_is_fresh():
    kept = short()
    first = await kept.whole()
    await failing(kept, Unreachable("nobody answers"), max_age=0)
    assert await kept.whole() is first


async def test_max_age_zero_asks_an_upstream_that_has_just_failed_again():
    kept = short()
    await failing(kept, Unreachable("nobody answers"))
    kept.adapter.failing = None
    assert len(ids_of(await kept.whole(max_age=0))) == 3
    assert len(ids_of(await kept.whole())) == 3
    assert kept.reads == 2


async def test_two_fields_of_one_request_share_a_failure():
    kept = short(max_age=0.0)
    request = Ask(0.0, time.monotonic(), takes_refreshing=False)
    kept.adapter.failing = Unreachable("nobody answers")
    for _ in range(2):
        with pytest.raises(Unreachable):
            await kept.shelf.whole(request)
    assert kept.reads == 1


async def test_an_upstream_that_says_when_to_come_back_is_left_alone_until_then():
    kept = short(max_age=SHORT)
    await failing(kept, RateLimited("too many", retry_after_s=6 * SHORT))
    await asyncio.sleep(2 * SHORT)
    await failing(kept, RateLimited("too many", retry_after_s=6 * SHORT))
    assert kept.reads == 1
    await asyncio.sleep(6 * SHORT)
    kept.adapter.failing = None
    assert len(ids_of(await kept.whole())) == 3


async def test_nobody_is_told_to_come_back_later_than_stale_rows_may_be_shown():
    kept = short(max_age=SHORT, max_stale=2 * SHORT)
    await failing(kept, RateLimited("too many", retry_after_s=10_000))
    await asyncio.sleep(4 * SHORT)
    kept.adapter.failing = None
    assert len(ids_of(await kept.whole())) == 3


async def test_what_was_read_last_may_be_shown_for_so_long_and_no_longer():
    kept = short(max_age=0.0, max_stale=4 * SHORT)
    assert kept.shelf.stale() is None
    first = await kept.whole()
    await failing(kept, Unreachable("nobody answers"))
    assert kept.shelf.stale() is first
    await asyncio.sleep(6 * SHORT)
    assert kept.shelf.stale() is None


async def test_a_token_that_somebody_made_up_is_nobody_elses_failure():
    kept = long()
    with pytest.raises(Rejected):
        await kept.shelf.page(kept.ask(), NAME, "made up")
    assert len(ids_of(await kept.whole())) == 10


async def test_one_failed_reading_is_told_to_all_who_waited_for_it():
    kept = long()
    kept.adapter.failing = Unreachable("nobody answers")
    answers = await asyncio.gather(*(kept.whole() for _ in range(50)), return_exceptions=True)
    assert answers == [kept.adapter.failing] * 50
    assert kept.reads == 1


# Changes made through the gateway


@pytest.mark.parametrize("make", [short, long])
async def test_what_was_read_before_a_change_is_not_fresh(make: Callable[..., Kept]):
    kept = make()
    await kept.whole()
    kept.adapter.lists[""].pop()
    kept.inventory.invalidate("another")
    reads = kept.reads
    await kept.whole()
    assert kept.reads == reads
    kept.inventory.invalidate("a")
    assert ids_of(await kept.whole()) == [row.native_id for row in kept.adapter.rows]


@pytest.mark.parametrize("make", [short, long])
async def test_what_is_being_read_during_a_change_answers_nobody_who_asks_after_it(make: Callable[..., Kept]):
    kept = make()
    kept.adapter.gate.clear()
    early = asyncio.ensure_future(kept.whole())
    await settled(lambda: kept.reads == 1)
    kept.adapter.lists[""].pop(0)
    kept.inventory.invalidate("a")
    late = asyncio.ensure_future(kept.whole())
    await asyncio.sleep(0.01)
    kept.adapter.gate.set()
    await early
    assert ids_of(await late) == [row.native_id for row in kept.adapter.rows]
    reads = kept.reads
    assert ids_of(await kept.whole()) == [row.native_id for row in kept.adapter.rows]
    assert kept.reads == reads, "which is fresh then"


async def test_a_page_that_is_being_read_during_a_change_answers_nobody_who_asks_after_it():
    kept = long()
    kept.adapter.gate.clear()
    early = asyncio.ensure_future(kept.shelf.page(kept.ask(), NAME, None))
    await settled(lambda: kept.reads == 1)
    kept.adapter.lists[""].pop(0)
    kept.inventory.invalidate("a")
    late = asyncio.ensure_future(kept.shelf.page(kept.ask(), NAME, None))
    await asyncio.sleep(0.01)
    kept.adapter.gate.set()
    assert (await early).page.connections[0].native_id == "000"
    assert (await late).page.connections[0].native_id == "001"


async def test_a_failure_from_before_a_change_is_not_repeated_after_it():
    kept = short()
    await failing(kept, Unreachable("nobody answers"))
    kept.adapter.failing = None
    kept.inventory.invalidate("a")
    assert len(ids_of(await kept.whole())) == 3


# What stays the same object


@pytest.mark.parametrize("make", [short, long])
async def test_a_list_that_has_not_changed_is_the_same_snapshot_with_the_same_table(make: Callable[..., Kept]):
    kept = make(max_age=0.0)
    first = await kept.whole()
    table, _ = await first.table(LIST_FIELDS)
    began = first.span.began
    again = await kept.whole()
    assert again is first
    assert (await again.table(LIST_FIELDS))[0] is table
    assert again.span.began > began, "and as fresh as it was read"


def renamed(kept: Kept, at: int, **others: Any) -> None:
    """One row has another name."""
    rows = kept.adapter.lists[""]
    # Equal rows are other objects every time they are decoded.
    rows[:] = [msgspec.structs.replace(row) for row in rows]
    rows[at] = msgspec.structs.replace(rows[at], name="another", **others)


@pytest.mark.parametrize("make", [short, long])
@pytest.mark.parametrize("joins", [LIST_FIELDS, NAMED], ids=["listed", "joined"])
@pytest.mark.parametrize("lacks_names", [False, True])
async def test_where_one_row_has_changed_all_others_are_the_same_objects(
    make: Callable[..., Kept], joins: frozenset[str], lacks_names: bool
):
    kept = make(max_age=0.0)
    kept.adapter.lacks_names = lacks_names
    before, _ = await (await kept.whole()).table(joins)
    renamed(kept, 1, description="changed")
    after, _ = await (await kept.whole()).table(joins)
    same = [one is other for one, other in zip(before.rows, after.rows, strict=True)]
    assert same == [at != 1 for at in range(len(same))]
    assert after.rows[1].description == "changed"
    assert (after.rows[1].name == "another") is (joins == NAMED or not lacks_names)


async def test_rows_that_are_gone_or_new_leave_the_others_as_they_were():
    kept = long(max_age=0.0)
    before, _ = await (await kept.whole()).table(NAMED)
    rows = kept.adapter.lists[""]
    rows[:] = [connection(native_id="new", name="new"), *map(msgspec.structs.replace, rows[2:])]
    after, _ = await (await kept.whole()).table(NAMED)
    assert [row.native_id for row in after.rows] == ["new", *(row.native_id for row in before.rows[2:])]
    assert all(one is other for one, other in zip(after.rows[1:], before.rows[2:], strict=True))


async def test_names_that_lists_lack_are_looked_up_once_for_each_reading():
    kept = short(max_age=0.0)
    kept.adapter.lacks_names = True
    snapshot = await kept.whole()
    bare, _ = await snapshot.table(LIST_FIELDS)
    assert [row.name for row in bare.rows] == [None] * 3
    assert kept.adapter.completed == 0
    tables = [(await snapshot.table(NAMED))[0] for _ in range(3)]
    assert [row.name for row in tables[0].rows] == ["name 000", "name 001", "name 002"]
    assert all(table is tables[0] for table in tables)
    assert kept.adapter.completed == 1


async def test_a_name_that_changes_while_the_list_stays_the_same_is_seen():
    kept = short(max_age=0.0)
    kept.adapter.lacks_names = True
    before, _ = await (await kept.whole()).table(NAMED)
    renamed(kept, 1)
    after, _ = await (await kept.whole()).table(NAMED)
    assert [row.name for row in after.rows] == ["name 000", "another", "name 002"]
    assert [one is other for one, other in zip(before.rows, after.rows, strict=True)] == [True, False, True]
    unchanged, _ = await (await kept.whole()).table(NAMED)
    assert unchanged is after


# Bounds


async def test_a_list_longer_than_may_be_kept_is_refused():
    kept = long(10, bounds=Bounds(9, 1_000_000))
    with pytest.raises(Unsupported):
        await kept.whole()
    assert len(ids_of(await long(10, bounds=Bounds(10, 1_000_000)).whole())) == 10


async def test_a_list_of_more_bytes_than_may_be_kept_is_refused():
    with pytest.raises(Unsupported):
        await long(10, bounds=Bounds(1000, 999)).whole()
    assert len(ids_of(await long(10, bounds=Bounds(1000, 1000)).whole())) == 10


async def test_of_more_lists_than_may_be_kept_together_the_least_asked_for_is_forgotten():
    adapters = [Listed(name, {"": rows_of(4, name)}) for name in "abc"]
    instances = [instance_of(adapter) for adapter in adapters]
    inventory = Inventory(Ages(LONG, LONG, LONG), Bounds(9, 1_000_000))

    async def ask(at: int) -> None:
        await inventory.shelf(instances[at], List("")).whole(Ask(LONG, time.monotonic()))

    for at in (0, 1, 0, 2):
        await ask(at)
    assert [len(adapter.reads) for adapter in adapters] == [1, 1, 1]
    for at in (0, 2):
        await ask(at)
    assert [len(adapter.reads) for adapter in adapters] == [1, 1, 1], "these were asked for lately"
    await ask(1)
    assert [len(adapter.reads) for adapter in adapters] == [1, 2, 1]


async def test_narrowed_lists_come_and_go_within_bounds():
    adapter = Listed("a", {"": rows_of(1)})
    instance = instance_of(adapter)
    inventory = Inventory(Ages(LONG, LONG, LONG), ROOMY)
    plain = inventory.shelf(instance, List(""))
    await plain.whole(Ask(LONG, time.monotonic()))
    for number in range(600):
        narrowed = inventory.shelf(instance, List("", (("enabled", str(number)),)))
        await narrowed.whole(Ask(LONG, time.monotonic()))
        if number % 100 == 0:
            assert inventory.shelf(instance, List("")) is plain
    gc.collect()
    assert sum(isinstance(each, Shelf) and each.of.narrowed != () for each in gc.get_objects()) <= 300


@pytest.mark.parametrize("seed", range(4))
async def test_what_all_lists_hold_together_is_known_without_looking_at_each(seed: int):
    rng = drawn(seed)
    adapters = [Listed(name, {part: rows_of(rng.randrange(6), name) for part in "xy"}, page=4) for name in "abc"]
    instances = [instance_of(adapter) for adapter in adapters]
    inventory = Inventory(Ages(0, LONG, LONG), Bounds(16, 1_200))
    shelves: list[Shelf] = []
    for number in range(200):
        at = rng.randrange(3)
        adapters[at].lists[rng.choice("xy")] = rows_of(rng.randrange(7), "abc"[at])
        shelves.append(inventory.shelf(instances[at], List(rng.choice("xy"))))
        forgotten = rng.choice(shelves[-20:])  # as somebody has who still waits for it
        for shelf in (shelves[-1], forgotten):
            with contextlib.suppress(AdapterError):
                await shelf.whole(Ask(0, time.monotonic() + number))
        held = [kept.snapshot.walked for kept in inventory._shelves.values() if kept.snapshot is not None]
        assert inventory._stock.rows == sum(len(walked.rows) for walked in held) <= 16
        assert inventory._stock.size_bytes == sum(walked.size_bytes for walked in held) <= 1_200


# What is told of it


async def test_what_is_kept_of_an_instance_is_as_old_as_the_oldest_of_its_lists():
    adapter = Listed("a", {"one": rows_of(2), "two": rows_of(2)})
    instance = instance_of(adapter)
    inventory = Inventory(Ages(LONG, LONG, LONG), ROOMY)
    assert inventory.as_of("a") is None
    ask = Ask(LONG, time.monotonic())
    first = await inventory.shelf(instance, List("one")).whole(ask)
    await inventory.shelf(instance, List("two")).whole(ask)
    assert inventory.as_of("a") == first.span.began_at > NOON
    assert inventory.as_of("b") is None


async def test_the_parts_that_an_instance_had_are_known_when_it_cannot_tell():
    adapter = Listed("a", {"one": rows_of(2), "two": rows_of(2)})
    inventory = Inventory(Ages(LONG, LONG, LONG), ROOMY)
    assert await inventory.parts(instance_of(adapter), time.monotonic()) == (("one", "two"), None)

    class Silent(Listed):
        async def parts(self) -> Sequence[str]:
            raise Unreachable("nobody answers")

    parts, error = await inventory.parts(instance_of(Silent("a", {})), time.monotonic())
    assert parts == ("one", "two")
    assert isinstance(error, Unreachable)
    assert (await inventory.parts(instance_of(Silent("b", {})), time.monotonic()))[0] == ()


class Paged(Listed):
    """An upstream that fails for whatever is asked for by a token."""

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        if after is not None:
            raise Unreachable("there is nothing so far")
        return await super().read(of, after=after, last=last)


async def test_a_token_that_a_client_made_up_is_no_failure_of_the_list():
    kept = Kept(Paged("a", {"": rows_of(3)}), max_age=SHORT)
    with pytest.raises(Unreachable):
        await kept.shelf.page(kept.ask(), NAME, "1000000000000000000")
    assert ids_of(await kept.whole()) == [row.native_id for row in rows_of(3)]


async def test_a_page_that_failed_is_asked_for_again_and_leaves_the_failure_of_the_list_alone():
    kept = long()
    kept.adapter.failing = Unreachable("down")
    with pytest.raises(Unreachable):
        await kept.whole()
    kept.adapter.failing = None
    assert len((await kept.shelf.page(kept.ask(), NAME, "3")).page.connections) == 3
    with pytest.raises(Unreachable):
        await kept.whole()


async def test_pages_that_nobody_waited_for_to_the_end_are_not_held():
    kept = long(90)
    kept.adapter.gate.clear()
    for token in range(3, 60, 3):
        with deadline.within(0), pytest.raises(TimedOut):
            await kept.shelf.page(kept.ask(0), NAME, str(token))
    kept.adapter.gate.set()
    await settled(lambda: len(kept.adapter.reads) >= 19)
    await asyncio.sleep(0.01)
    await kept.shelf.page(kept.ask(0), NAME, "60")
    held = vars(kept.shelf)["_reading"]
    assert len(held) == 1


async def test_an_order_that_is_distrusted_stays_so():
    kept = long()
    down = Order(OrderField.NAME, True)
    assert kept.shelf.trusts(NAME)
    kept.shelf.distrust(NAME)
    await kept.whole()
    assert (kept.shelf.trusts(NAME), kept.shelf.trusts(down)) == (False, True)


async def test_it_is_known_which_lists_memory_could_not_answer():
    adapter = Listed("a", {"one": rows_of(2), "two": rows_of(2)})
    instance = instance_of(adapter)
    inventory = Inventory(Ages(LONG, LONG, LONG), ROOMY)

    def unread(parts: frozenset[str] | None, max_age: float = LONG) -> Narrowing | None:
        return inventory.unread(instance, Narrowing(parts), Ask(max_age, time.monotonic()))

    one, both = frozenset({"one"}), frozenset({"one", "two"})
    assert unread(None) == Narrowing(None), "not even the lists are known"
    await inventory.parts(instance, time.monotonic())
    assert (unread(None), unread(one)) == (Narrowing(both), Narrowing(one))
    await inventory.shelf(instance, List("one")).whole(Ask(LONG, time.monotonic()))
    assert (unread(None), unread(one)) == (Narrowing(both - one), None)
    assert unread(one, max_age=0) == Narrowing(one)
    assert adapter.reads == [(List("one"), None)], "nothing is read to know it"


async def test_it_is_known_what_has_been_looked_up_for_all_rows_in_memory():
    adapter = Listed("a", {"one": rows_of(2), "two": rows_of(2)}, lacks_names=True)
    instance = instance_of(adapter)
    inventory = Inventory(Ages(LONG, LONG, LONG), ROOMY)
    await inventory.parts(instance, time.monotonic())
    one, two = [
        await inventory.shelf(instance, List(part)).whole(Ask(LONG, time.monotonic())) for part in adapter.lists
    ]
    await one.table(NAMED)
    assert inventory.joined(instance, Narrowing(frozenset({"one"}))) == NAMED
    assert inventory.joined(instance, Narrowing()) == LIST_FIELDS
    await two.table(NAMED)
    assert inventory.joined(instance, Narrowing()) == NAMED


async def test_two_who_look_up_different_things_at_once_both_find_theirs():
    kept = short()
    kept.adapter.lacks_names = True
    snapshot = await kept.whole()
    icons = frozenset({"source.icon"})
    await asyncio.gather(*(snapshot.table(fields) for fields in (NAMED, icons) * 5))
    assert snapshot.joined == NAMED | icons
    assert [row.name for row in (await snapshot.table(NAMED | icons))[0].rows] == ["name 000", "name 001", "name 002"]
