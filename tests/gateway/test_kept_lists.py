"""What is kept of lists and changes under those who hold it: renewed, read through page by page, looked up again."""

import asyncio
import datetime as dt
import time
from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar, cast

import msgspec
import pytest

from adapters.errors import Rejected, Unreachable
from adapters.model import Connection, Interval, Run, RunStatus, Schedule, ScheduleType, TimeUnit
from adapters.port import LIST_FIELDS, Completed, Fields, Filter, List, Narrowing, Order, OrderField, Page, wants
from adapters.walk import Bounds
from gateway import cursors, inventory, paging
from gateway.cursors import Cursor
from gateway.filters import EVERYTHING
from gateway.instances import Instance, Instances
from gateway.inventory import Ages, Ask, Inventory, Shelf
from gateway.orders import DEFAULT, OrderBy
from gateway.paging import Merged, Window
from gateway.sources import Need, SourceState
from tests.gateway.listed import HOUR, NOON, Listed, connection, instances_of

LONG = 600.0
NAME = Order(OrderField.NAME)
NAMED = frozenset({"name"})
ROOMY = Bounds(1000, 1_000_000)


def rows_of(count: int) -> list[Connection]:
    return [connection(native_id=f"{number:03}", name=f"name {number:03}") for number in range(count)]


def by_name(rows: Sequence[Connection], order: Order) -> Sequence[Connection]:
    return sorted(rows, key=lambda row: row.name or "", reverse=order.is_descending)


class Named(Listed):
    """Lists lack names, which are looked up and good for an hour. Bodies are never the same. While ``looking`` is
    closed, lookups wait at it; ``looked_up`` are the rows of each."""

    def __init__(self, lists: dict[str, list[Connection]], **options: Any) -> None:
        super().__init__("a", lists, lacks_names=True, **options)
        self.looking = asyncio.Event()
        self.looking.set()
        self.good_for_s = 3600.0
        self.looked_up: list[list[str]] = []
        self.changes_bodies = False

    def _page(self, rows: Sequence[Connection], after: str | None) -> Page:
        page = super()._page(rows, after)
        return page._replace(size_bytes=100 + len(self.reads)) if self.changes_bodies else page

    def adds(self, fields: Fields) -> bool:
        return wants(fields, "name", "source.icon")

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        self.looked_up.append([row.native_id for row in connections])
        completed = await super().complete(connections, fields)
        await self.looking.wait()
        return completed._replace(good_until=time.monotonic() + self.good_for_s)


class Asking:
    """An inventory over one instance, and those who ask it for pages."""

    def __init__(self, adapter: Listed, *, max_age: float = LONG) -> None:
        self.adapter = adapter
        self.max_age = max_age
        self.instances: Instances = instances_of(adapter)
        self.inventory = Inventory(Ages(max_age, LONG, LONG), ROOMY)

    @property
    def instance(self) -> Instance:
        return self.instances[self.adapter.instance]

    @property
    def shelf(self) -> Shelf:
        return self.inventory.shelf(self.instance, List(""))

    def ask(self, max_age: float | None = None) -> Ask:
        return Ask(self.max_age if max_age is None else max_age, time.monotonic(), takes_refreshing=max_age is None)

    async def page(
        self,
        size: int = 100,
        *,
        where: Filter = EVERYTHING,
        order_by: OrderBy = DEFAULT,
        in_order: bool = True,
        max_age: float | None = None,
        after: Cursor | None = None,
        before: Cursor | None = None,
        backward: bool = False,
        now: dt.datetime = NOON,
        joins: Fields = LIST_FIELDS,
        fields: Fields = LIST_FIELDS,
        ask: Ask | None = None,
    ) -> Merged:
        order = order_by[0] if in_order and len(order_by) == 1 and not backward and before is None else None
        need = Need(where, order_by, ask or self.ask(max_age), joins, fields, now, order=order, after=after, size=size)
        return await paging.page(self.instances, self.inventory, need, Window(size, backward, after, before))


def names(merged: Merged) -> list[str | None]:
    return [row.name for row in merged.nodes]


def ids(merged: Merged) -> list[str]:
    return [row.native_id for row in merged.nodes]


# Renewed in place


async def test_who_looks_names_up_while_the_list_is_read_again_finds_by_them():
    adapter = Named({"": rows_of(3)})
    adapter.changes_bodies = True
    asking = Asking(adapter)
    await asking.page()
    adapter.looking.clear()
    where = Filter(text="name 001")
    searching = asyncio.create_task(asking.page(where=where, joins=NAMED))
    await asyncio.sleep(0.01)
    await asking.shelf.whole(asking.ask(0))  # the same rows in another body
    adapter.looking.set()
    assert names(await searching) == ["name 001"]


# Read through


async def test_a_list_that_was_read_page_by_page_to_its_end_is_kept_whole():
    adapter = Listed("a", {"": rows_of(9)}, page=3, sort=by_name)
    asking = Asking(adapter)
    assert len(ids(await asking.page(9))) == 9
    assert [of for of, _ in adapter.reads] == [List("", order=NAME)] * 3
    await asking.page(4, order_by=(Order(OrderField.STATUS), NAME))
    assert len(adapter.reads) == 3


async def test_what_was_read_later_is_not_replaced_by_pages_that_were_read_before():
    class Slow(Listed):
        """The third page in order takes long."""

        def __init__(self) -> None:
            super().__init__("a", {"": rows_of(9)}, page=3, sort=by_name)
            self.asked, self.third = asyncio.Event(), asyncio.Event()

        async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
            page = await super().read(of, after=after, last=last)
            if of.order is not None and after == "6":
                self.asked.set()
                await self.third.wait()
            return page

    adapter = Slow()
    asking = Asking(adapter)
    reading = asyncio.create_task(asking.page(9))
    async with asyncio.timeout(5):
        await adapter.asked.wait()
    adapter.lists[""][0] = connection(native_id="000", name="name new")
    now = await asking.shelf.whole(asking.ask(0))
    assert now.walked.rows[0].name == "name new"
    adapter.third.set()
    await reading
    later = await asking.shelf.whole(asking.ask())
    assert "name new" in [row.name for row in later.walked.rows]


async def test_a_row_that_moved_between_two_readings_of_pages_is_not_lost_by_who_reads_it_by_id():
    adapter = Listed("a", {"": rows_of(6)}, page=3, sort=by_name)
    asking = Asking(adapter)
    await asking.page(2)
    adapter.lists[""][5] = connection(native_id="005", name="name 000 moved")
    await asking.page(6)
    whole = await asking.shelf.whole(asking.ask())
    assert "005" in [row.native_id for row in whole.walked.rows]


async def test_rows_of_a_first_page_that_was_read_before_are_no_younger_for_the_others_that_follow():
    adapter = Listed("a", {"": rows_of(6)}, page=3)
    asking = Asking(adapter, max_age=0.3)
    assert await asking.shelf.open(asking.ask(), None) is None
    adapter.lists[""][0] = connection(native_id="000", name="name new")
    await asyncio.sleep(0.2)
    await asking.shelf.whole(asking.ask())
    await asyncio.sleep(0.2)
    found = await asking.shelf.whole(asking.ask())
    assert found.walked.rows[0].name == "name new", "as it was before, it is 0.4 s old"


async def test_rows_of_a_page_that_was_read_before_are_as_old_as_it_is():
    asking = Asking(Listed("a", {"": rows_of(9)}, page=3, sort=by_name))
    first = await asking.page(2)
    read_at = first.sources[0].as_of
    assert read_at is not None
    await asyncio.sleep(0.05)
    again = await asking.page(2)
    assert len(asking.adapter.reads) == 1
    assert again.sources[0].as_of == read_at
    after = cursors.decode(again.edges[-1].cursor, DEFAULT)
    on = await asking.page(2, after=after)
    assert len(asking.adapter.reads) == 2
    assert on.sources[0].as_of == read_at, "the oldest of two pages"
    now = await asking.page(2, max_age=0)
    assert cast("dt.datetime", now.sources[0].as_of) > read_at


# How many lists


class Searching(Listed):
    """An upstream that searches by itself."""

    def narrow(self, where: Filter) -> Narrowing:
        return Narrowing(asked=() if where.text is None else (("search", where.text),))


@pytest.mark.parametrize("fails", [True, False])
async def test_lists_that_come_and_go_with_filters_are_forgotten(monkeypatch: pytest.MonkeyPatch, fails: bool):
    monkeypatch.setattr(inventory, "SHELVES_KEPT", 4)
    adapter = Searching("a", {"": rows_of(9)}, page=3)
    adapter.failing = Unreachable("nobody answers") if fails else None
    asking = Asking(adapter)
    for number in range(20):
        await asking.page(where=Filter(text=f"name {number}"))
    assert 0 < len(asking.inventory._shelves) <= 5


async def test_the_lists_of_all_parts_are_kept_however_many_there_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inventory, "SHELVES_KEPT", 4)
    adapter = Listed("a", {str(part): [connection(native_id=str(part))] for part in range(20)})
    asking = Asking(adapter)
    for _ in range(2):
        assert len(ids(await asking.page())) == 20
    assert len(adapter.reads) == 20


# An order refused


@pytest.mark.parametrize("goes_on", [False, True])
async def test_an_upstream_that_no_longer_takes_an_order_is_read_without_it(goes_on: bool):
    adapter = Listed("a", {"": rows_of(3)}, sort=by_name)
    asking = Asking(adapter)
    first = await asking.page(1)
    assert adapter.reads == [(List("", order=NAME), None)]

    def refusing(rows: Sequence[Connection], order: Order) -> Sequence[Connection]:
        raise Rejected("no such order")

    adapter.sort = refusing
    after = cursors.decode(first.edges[0].cursor, DEFAULT) if goes_on else None
    found = await asking.page(max_age=0, after=after)
    assert (ids(found), list(found.failures)) == (["001", "002"] if goes_on else ["000", "001", "002"], [])
    assert [source.is_stale for source in found.sources] == [False]


# Looked up


async def test_an_empty_list_beside_does_not_make_names_be_looked_up_again():
    adapter = Named({"one": rows_of(3), "two": []})
    asking = Asking(adapter)
    for _ in range(3):
        assert None not in names(await asking.page(joins=NAMED, fields=NAMED))
    assert adapter.looked_up == [["000", "001", "002"]]
    first, second = await asking.page(fields=NAMED), await asking.page(fields=NAMED)
    assert second.nodes is first.nodes
    assert second.edges is first.edges


async def test_an_empty_list_beside_is_not_taken_for_one_that_lacks_names():
    asking = Asking(Named({"one": rows_of(3), "two": []}))
    await asking.page(joins=NAMED)
    assert asking.inventory.joined(asking.instance, Narrowing()) >= NAMED, "so that no plan tells of looking them up"


async def test_rows_that_have_not_changed_are_looked_up_once_as_long_as_that_is_good():
    adapter = Named({"": rows_of(6)}, page=3)
    asking = Asking(adapter, max_age=0.0)
    before = names(await asking.page(joins=NAMED, in_order=False))
    assert adapter.looked_up == [["000", "001", "002", "003", "004", "005"]]
    rows = adapter.lists[""]
    rows[:] = [msgspec.structs.replace(row) for row in rows]
    rows[4] = connection(native_id="004", name="another", description="changed")
    rows[1:2] = []
    rows.append(connection(native_id="006", name="name 006"))
    adapter.looked_up.clear()
    after = names(await asking.page(joins=NAMED, in_order=False))
    assert sorted(map(str, after)) == sorted({*map(str, before), "another", "name 006"} - {"name 001", "name 004"})
    assert adapter.looked_up == [["004", "006"]]
    adapter.looked_up.clear()
    await asking.page(joins=NAMED, in_order=False)
    assert adapter.looked_up == [], "nothing has changed"


async def test_rows_are_looked_up_again_when_what_was_looked_up_is_no_longer_good():
    adapter = Named({"": rows_of(3)})
    adapter.good_for_s = 0.0
    asking = Asking(adapter, max_age=0.0)
    for reads in range(1, 4):
        await asking.page(joins=NAMED)
        assert adapter.looked_up == [["000", "001", "002"]] * reads


async def test_what_is_good_ends_with_what_was_looked_up_first():
    """Rows that changed are looked up later than the others, which are not good for longer by that."""
    adapter = Named({"": rows_of(3)})
    asking = Asking(adapter, max_age=0.0)
    adapter.good_for_s = 0.2
    await asking.page(joins=NAMED)
    adapter.good_for_s = 3600.0
    adapter.lists[""][1] = connection(native_id="001", name="another", description="changed")
    await asking.page(joins=NAMED)
    assert adapter.looked_up == [["000", "001", "002"], ["001"]]
    await asyncio.sleep(0.3)
    await asking.page(joins=NAMED)
    assert adapter.looked_up[2:] == [["000", "001", "002"]]


async def test_what_adds_nothing_is_not_looked_up():
    adapter = Named({"": rows_of(2)})
    asking = Asking(adapter, max_age=0.0)
    for fields in (frozenset({"status"}), NAMED, NAMED | {"status"}, frozenset({"destination.name"})):
        await asking.page(joins=fields)
    assert adapter.looked_up == [["000", "001"]]


async def test_other_fields_are_looked_up_for_all_rows():
    adapter = Named({"": rows_of(2)})
    asking = Asking(adapter, max_age=0.0)
    icons = NAMED | {"source.icon"}
    for fields, count in ((NAMED, 1), (icons, 2), (NAMED, 2), (icons, 2)):
        await asking.page(joins=fields)
        assert adapter.looked_up == [["000", "001"]] * count, fields
    adapter.lists[""][1] = connection(native_id="001", name="another", description="changed")
    await asking.page(joins=NAMED)
    assert adapter.looked_up[2:] == [["001"]]
    await asking.page(joins=icons)
    assert adapter.looked_up[3:] == [["000", "001"]], "of the one that changed, only the name is known"


async def test_a_lookup_that_failed_is_no_answer_for_the_rows_of_the_next_reading():
    class Failing(Named):
        async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
            if self.failing is None:
                return await super().complete(connections, fields)
            self.looked_up.append([row.native_id for row in connections])
            return Completed(tuple(connections), (self.failing,))

    adapter = Failing({"": rows_of(2)})
    asking = Asking(adapter)
    found = await asking.page(joins=NAMED)
    adapter.lists[""].append(connection(native_id="002", name="name 002"))
    await asking.shelf.whole(asking.ask(0))
    adapter.failing = Unreachable("no names today")
    found = await asking.page(joins=NAMED)
    assert (names(found), len(found.failures)) == (["name 000", "name 001", None], 1)
    adapter.failing = None
    found = await asking.page(joins=NAMED)
    assert (names(found), len(found.failures)) == (["name 000", "name 001", "name 002"], 0)


# Pages that are asked for again


async def test_a_page_that_is_asked_for_again_is_the_same_object():
    asking = Asking(Listed("a", {"": rows_of(9)}))
    first, again = await asking.page(4), await asking.page(4)
    assert again.nodes is first.nodes
    await asking.shelf.whole(asking.ask(0))
    assert (await asking.page(4)).nodes is first.nodes, "where nothing has changed"
    asking.adapter.lists[""][0] = connection(native_id="000", name="name 000", description="changed")
    await asking.shelf.whole(asking.ask(0))
    assert [row.description for row in (await asking.page(4)).nodes] == ["changed", None, None, None]


async def test_a_page_to_whose_rows_nothing_was_added_is_the_same_object():
    class Idle(Listed):
        """It has to look, and finds nothing."""

        def adds(self, fields: Fields) -> bool:
            return True

    asking = Asking(Idle("a", {"": rows_of(3)}))
    first, again = await asking.page(fields=NAMED), await asking.page(fields=NAMED)
    assert asking.adapter.completed >= 2
    assert again.nodes is first.nodes


async def test_pages_of_several_instances_are_told_apart_by_the_rows_of_each():
    one, other = Asking(Listed("a", {"": rows_of(3)})), Listed("b", {"": [connection("b", "9", name="name 000b")]})
    one.instances = instances_of(one.adapter, other)
    before = await one.page(3)
    assert names(before) == ["name 000", "name 000b", "name 001"]
    assert (await one.page(3)).nodes is before.nodes
    other.lists[""] = [connection("b", "9", name="name 000c"), connection("b", "8", name="name 000d")]
    await one.inventory.shelf(one.instances["b"], List("")).whole(one.ask(0))
    assert names(await one.page(3)) == ["name 000", "name 000c", "name 000d"]
    assert names(await one.page(3, where=Filter(instance=("a",)))) == ["name 000", "name 001", "name 002"]


async def test_pages_are_told_apart_by_all_that_is_asked_of_them():
    """Each is asked for twice, so that none is taken for another."""
    rows = [
        connection(native_id=f"{at}", name=f"{at}", enabled=at % 2 == 0, external_ref=None, description=f"{9 - at}")
        for at in range(9)
    ]
    asking = Asking(Listed("a", {"": rows}))
    down = (Order(OrderField.NAME, True),)
    at: Any = {
        order: cursors.decode((await asking.page(order_by=order)).edges[4].cursor, order) for order in (DEFAULT, down)
    }
    asked: list[tuple[dict[str, Any], str]] = [
        ({"size": 3}, "012"),
        ({"size": 4}, "0123"),
        ({"size": 0}, ""),
        ({"size": 3, "order_by": down}, "876"),
        ({"size": 3, "backward": True}, "678"),
        ({"size": 3, "after": at[DEFAULT]}, "567"),
        ({"size": 3, "before": at[DEFAULT]}, "012"),
        ({"size": 3, "before": at[DEFAULT], "backward": True}, "123"),
        ({"size": 3, "after": at[DEFAULT], "backward": True}, "678"),
        ({"size": 3, "after": at[down], "order_by": down}, "321"),
        ({"size": 3, "before": at[down], "order_by": down}, "876"),
        ({"size": 3, "where": Filter(enabled=True)}, "024"),
        ({"size": 3, "where": Filter(enabled=False)}, "135"),
        ({"size": 3, "where": Filter(not_=Filter(enabled=True))}, "135"),
        ({"size": 3, "where": Filter(text="8")}, "18"),
    ]
    for _ in range(2):
        for arguments, expected in asked:
            assert "".join(map(str, names(await asking.page(**arguments)))) == expected, arguments


async def test_what_is_overdue_is_so_at_the_moment_of_each_request():
    hourly = Schedule(type=ScheduleType.BASIC, every=Interval(units=1, time_unit=TimeUnit.HOURS), human_text="")
    started = [NOON - at * HOUR for at in (0, 1, 2)]
    rows = [
        connection(
            native_id=str(at), name=str(at), enabled=True, schedule=hourly,
            last_run=Run(status=RunStatus.SUCCEEDED, started_at=when),
        )
        for at, when in enumerate(started)
    ]  # fmt: skip
    asking = Asking(Listed("a", {"": rows}))
    where = Filter(overdue=True)
    met = [ids(await asking.page(where=where, now=NOON + hours * HOUR)) for hours in (0, 10, 0, 10)]
    assert met[0] == met[2] != met[1] == met[3] == ["0", "1", "2"]


# The first page of a list


@pytest.mark.parametrize("page", [3, 100])
async def test_the_first_page_is_from_memory_where_the_list_is(page: int):
    adapter = Listed("a", {"": rows_of(9)}, page=page)
    asking = Asking(adapter)
    await asking.shelf.whole(asking.ask())
    reads = len(adapter.reads)
    first = await asking.shelf.first(asking.ask())
    assert (len(first.connections), first.next, len(adapter.reads)) == (9, None, reads)


async def test_the_first_page_of_a_short_list_is_all_of_it_from_then_on():
    adapter = Listed("a", {"": rows_of(3)})
    asking = Asking(adapter)
    first = await asking.shelf.first(asking.ask())
    assert (len(first.connections), first.next) == (3, None)
    await asking.page()
    assert len(adapter.reads) == 1


async def test_the_first_page_of_a_long_list_is_read_once_for_all_who_want_it_and_says_that_there_is_more():
    adapter = Listed("a", {"": rows_of(9)}, page=3)
    asking = Asking(adapter)
    pages = await asyncio.gather(*(asking.shelf.first(asking.ask(age)) for age in (None, 10, None, 10)))
    pages.append(await asking.shelf.first(asking.ask()))
    assert [(len(page.connections), page.next) for page in pages] == [(3, "3")] * 5
    assert len(adapter.reads) == 1
    ask = asking.ask(0)
    await asking.shelf.first(ask)
    assert len(adapter.reads) == 2
    await asking.shelf.whole(ask)
    assert [after for _, after in adapter.reads[2:]] == ["3", "6"], "a walk goes on from there"


async def test_the_first_page_tells_how_many_rows_could_not_be_read():
    class Dropping(Listed):
        def _page(self, rows: Sequence[Connection], after: str | None) -> Page:
            return super()._page(rows, after)._replace(dropped=2)

    asking = Asking(Dropping("a", {"": rows_of(3)}))
    for _ in range(2):
        assert (await asking.shelf.first(asking.ask())).dropped == 2


async def test_what_reading_the_first_page_raised_is_raised_for_a_while_without_asking():
    asking = Asking(Listed("a", {"": rows_of(3)}))
    asking.adapter.failing = Unreachable("nobody answers")
    for _ in range(2):
        with pytest.raises(Unreachable):
            await asking.shelf.first(asking.ask())
    assert len(asking.adapter.reads) == 1


# Read page by page


async def test_a_list_of_which_nearly_all_is_shown_is_read_whole_once_it_is_known_how_long_it_is():
    adapter = Listed("a", {"": rows_of(9)}, page=3, sort=by_name)
    asking = Asking(adapter)
    await asking.shelf.whole(asking.ask())
    adapter.reads.clear()
    assert len(ids(await asking.page(5, max_age=0))) == 5
    assert [of for of, _ in adapter.reads] == [List("")] * 3
    adapter.reads.clear()
    assert len(ids(await asking.page(4, max_age=0))) == 4
    assert [of for of, _ in adapter.reads] == [List("", order=NAME)] * 2, "of less, only what is shown"


async def test_pages_that_were_read_from_a_cursor_on_are_not_the_whole_list():
    adapter = Listed("a", {"": rows_of(9)}, page=3, sort=by_name)
    asking = Asking(adapter)
    edge = (await asking.page(4)).edges[-1]
    rest = await asking.page(9, after=cursors.decode(edge.cursor, DEFAULT))
    assert ids(rest) == ["004", "005", "006", "007", "008"]
    assert asking.shelf.snapshot is None
    assert len((await asking.shelf.whole(asking.ask())).walked.rows) == 9


async def test_pages_that_were_read_before_a_change_are_not_kept_as_the_whole_list_after_it():
    class Changing(Listed):
        """Something is changed through the gateway while the last page is read."""

        async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
            page = await super().read(of, after=after, last=last)
            if page.next is None:
                asking.inventory.invalidate("a")
            return page

    asking = Asking(Changing("a", {"": rows_of(6)}, page=3, sort=by_name))
    assert len(ids(await asking.page(6))) == 6
    assert asking.shelf.snapshot is None


async def test_pages_that_are_not_in_order_are_not_kept_as_the_whole_list():
    adapter = Listed("a", {"": rows_of(6)}, page=3, sort=lambda rows, _: rows[::-1])
    asking = Asking(adapter)
    assert ids(await asking.page(6)) == [row.native_id for row in rows_of(6)]
    assert asking.shelf.snapshot is not None
    assert asking.shelf.snapshot.order is None


async def test_pages_of_more_rows_than_may_be_kept_are_answered_and_not_kept():
    adapter = Listed("a", {"": rows_of(6)}, page=3, sort=by_name)
    asking = Asking(adapter)
    asking.inventory = Inventory(Ages(LONG, LONG, LONG), Bounds(5, 1_000_000))
    found = await asking.page(6)
    assert (len(ids(found)), list(found.failures)) == (6, [])
    assert asking.shelf.snapshot is None


async def test_rows_that_were_read_page_by_page_are_as_old_as_the_first_of_these_pages():
    class Dated(Listed):
        """Each reading is dated."""

        dates: ClassVar[list[dt.datetime]] = []

        async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
            self.dates.append(dt.datetime.now(dt.UTC))
            return await super().read(of, after=after, last=last)

    adapter = Dated("a", {"": rows_of(6)}, page=3, sort=by_name)
    asking = Asking(adapter)
    await asking.page(6)
    assert asking.shelf.snapshot is not None
    assert asking.shelf.snapshot.span.began_at <= adapter.dates[0]


async def test_two_fields_of_one_request_that_read_different_pages_make_no_list_of_them():
    """One reads the first page, and one the others, after a cursor."""
    adapter = Listed("a", {"": rows_of(9)}, page=3, sort=by_name)
    asking = Asking(adapter)
    cursor = cursors.decode((await asking.page(4)).edges[-1].cursor, DEFAULT)
    ask = asking.ask(0)
    await asking.page(2, ask=ask)
    assert ids(await asking.page(9, after=cursor, ask=ask)) == ["004", "005", "006", "007", "008"]
    assert len((await asking.shelf.whole(ask)).walked.rows) == 9


# Without waiting


def at_once(asked: Coroutine[Any, Any, Merged]) -> Merged:
    """What was asked for, where nobody need wait for it."""
    try:
        asked.send(None)
    except StopIteration as done:
        return done.value
    asked.close()
    pytest.fail("it was waited for")


async def test_nobody_waits_for_what_is_in_memory():
    adapter = Named({"one": rows_of(3), "two": [], "three": rows_of(5)})
    asking = Asking(adapter)
    before = await asking.page(joins=NAMED, in_order=False)
    found = at_once(asking.page(joins=NAMED, in_order=False))
    assert names(found) == names(before)
    for one, other in zip(found.sources, before.sources, strict=True):
        assert (one.state, one.row_count, one.as_of) == (other.state, other.row_count, other.as_of)
    assert ids(at_once(asking.page(joins=NAMED, where=Filter(workspace_id=("two",))))) == []


async def test_a_list_that_is_new_is_met_when_the_lists_are_asked_for_anew():
    adapter = Listed("a", {"one": rows_of(1)})
    asking = Asking(adapter)
    await asking.page()
    adapter.lists["two"] = [connection(native_id="100", name="new")]
    assert ids(at_once(asking.page())) == ["000"], "which lists there are is as old as the rows may be"
    assert ids(await asking.page(max_age=0)) == ["000", "100"]
    del adapter.lists["one"]
    assert ids(await asking.page(max_age=0)) == ["100"]
    assert ids(at_once(asking.page())) == ["100"], "what is gone is not met any more"


async def test_which_lists_there_are_is_asked_anew_where_it_was_told_too_long_ago():
    adapter = Listed("a", {"one": rows_of(1)})
    asking = Asking(adapter, max_age=0.3)
    await asking.page()
    adapter.lists["two"] = [connection(native_id="100", name="new")]
    await asyncio.sleep(0.2)
    await asking.inventory.shelf(asking.instance, List("one")).whole(asking.ask(0))
    await asyncio.sleep(0.2)
    assert ids(await asking.page()) == ["000", "100"], "the one that was known is younger than its name"


@pytest.mark.parametrize("max_age", [None, 0])
async def test_a_list_that_failed_is_told_of_as_often_as_it_is_asked_for(max_age: float | None):
    class Partly(Listed):
        async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
            if of.part == "two":
                raise Unreachable("this one is ill")
            return await super().read(of, after=after, last=last)

    asking = Asking(Partly("a", {"one": rows_of(2), "two": rows_of(4)}))
    for _ in range(3):
        found = await asking.page(max_age=max_age)
        assert (ids(found), [source.state for source in found.sources]) == (["000", "001"], [SourceState.PARTIAL])
        assert [type(error) for error in found.failures] == [Unreachable]


async def test_rows_that_are_shown_because_reading_failed_are_called_stale_each_time():
    asking = Asking(Listed("a", {"": rows_of(2)}))
    await asking.page()
    asking.adapter.failing = Unreachable("nobody answers")
    for _ in range(3):
        found = await asking.page(max_age=0)
        assert ([source.state for source in found.sources], len(found.failures)) == ([SourceState.STALE], 1)
    found = await asking.page()
    assert ([source.state for source in found.sources], len(found.failures)) == ([SourceState.OK], 0), (
        "fresh for others"
    )


async def test_a_lookup_that_failed_is_told_of_as_often_as_it_is_asked_for():
    class Failing(Named):
        async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
            return Completed(tuple(connections), (Unreachable("no names today"),))

    asking = Asking(Failing({"": rows_of(2)}))
    for _ in range(3):
        found = await asking.page(joins=NAMED, fields=NAMED)
        assert {type(error) for error in found.failures} == {Unreachable}
