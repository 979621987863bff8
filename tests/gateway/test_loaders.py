"""Connections by id: from lists in memory where they hold all that is wanted, else by the fewest calls."""

import asyncio
import gc
import math
import operator
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from adapters import walk
from adapters.errors import Unreachable
from adapters.model import Connection
from adapters.port import LIST_FIELDS, Completed, Fields, Found, List, Reader, Work, wants
from adapters.walk import Bounds
from gateway.inventory import Ages, Ask, Inventory
from gateway.loaders import Answer, Loaders
from tests.gateway.listed import Listed, connection, instances_of

LONG = 600.0
NAMED, FULL = frozenset({"name"}), frozenset({"details"})


class ById(Listed):
    """Lists lack names, and hold no details, which only asking by id gives. ``asked`` are the ids of each such call,
    ``given`` what was completed."""

    def __init__(self, lists: Mapping[str, Sequence[Connection]], **options: Any) -> None:
        super().__init__("a", lists, lacks_names=True, **options)
        self.asked: list[dict[str, Fields]] = []
        self.given: list[list[str]] = []
        self.failed: tuple[Unreachable, ...] = ()

    def holds(self, fields: Fields) -> bool:
        return not wants(fields, *FULL)

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        self.given.append([row.native_id for row in connections])
        if self.failed:
            return Completed(tuple(connections), self.failed)
        return await super().complete(connections, fields)

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        self.asked.append(dict(wanted))
        return Found({row.native_id: row for row in self.rows if row.native_id in wanted})


class Asking:
    """An inventory over one instance, and requests to it."""

    def __init__(self, adapter: ById) -> None:
        self.adapter = adapter
        self.instances = instances_of(adapter)
        self.inventory = Inventory(Ages(LONG, LONG, LONG), Bounds(1000, 1_000_000))

    @property
    def ask(self) -> Ask:
        return Ask(LONG, time.monotonic())

    async def read(self, part: str = "", joins: Fields = LIST_FIELDS, max_age: float = LONG) -> None:
        """Have a list in memory."""
        instance = self.instances["a"]
        await self.inventory.parts(instance, time.monotonic())
        snapshot = await self.inventory.shelf(instance, List(part)).whole(self.ask._replace(max_age=max_age))
        await snapshot.table(joins)

    def listed(self, id: str, fields: Fields = LIST_FIELDS, ask: Ask | None = None) -> Connection | None:
        """As a request of its own."""
        return Loaders(self.instances, self.inventory).listed(("a", id), fields, ask or self.ask)

    def work(self, id: str, fields: Fields = LIST_FIELDS) -> Work:
        return Loaders(self.instances, self.inventory).work(("a", id), fields, self.ask)

    async def connection(self, id: str, fields: Fields = LIST_FIELDS, ask: Ask | None = None) -> Connection | None:
        loaders = Loaders(self.instances, self.inventory)
        return (await loaders.connection(("a", id), fields, ask or self.ask)).connection


def rows(*ids: str) -> list[Connection]:
    return [connection(native_id=id, name=f"name {id}") for id in ids]


@pytest.fixture
def asking() -> Asking:
    return Asking(ById({"": rows("1", "2")}))


async def test_nothing_is_in_memory_before_it_was_read(asking: Asking):
    assert asking.listed("1") is None
    assert asking.work("1") == Work(wanted={"1": LIST_FIELDS})
    assert await asking.connection("1") == asking.adapter.rows[0]
    assert asking.adapter.asked == [{"1": LIST_FIELDS}]


async def test_a_row_of_a_list_in_memory_is_given_at_once_where_it_has_all_that_is_wanted(asking: Asking):
    await asking.read()
    found = asking.listed("1")
    assert found is not None
    assert found.native_id == "1"
    assert asking.listed("1") is found
    assert asking.work("1") == Work()
    assert (asking.adapter.asked, asking.adapter.given) == ([], [])


async def test_a_row_that_lacks_what_is_wanted_is_completed_and_not_asked_for(asking: Asking):
    await asking.read()
    assert asking.listed("1", NAMED) is None
    assert asking.work("1", NAMED) == Work(fields=NAMED)
    found = await asking.connection("1", NAMED)
    assert found is not None
    assert (found.name, asking.adapter.asked, asking.adapter.given) == ("name 1", [], [["1"]])


async def test_a_row_that_was_completed_for_a_list_is_given_at_once(asking: Asking):
    await asking.read(joins=NAMED)
    found = asking.listed("1", NAMED)
    assert found is not None
    assert found.name == "name 1"
    assert asking.work("1", NAMED) == Work()


async def test_a_row_of_which_a_lookup_failed_is_looked_up_again(asking: Asking):
    asking.adapter.failed = (Unreachable("no names today"),)
    await asking.read(joins=NAMED)
    asking.adapter.failed = ()
    assert asking.listed("1", NAMED) is None
    found = await asking.connection("1", NAMED)
    assert found is not None
    assert found.name == "name 1"


async def test_what_no_list_holds_is_asked_for_by_id(asking: Asking):
    await asking.read(joins=NAMED)
    for fields in (FULL, FULL | NAMED):
        assert asking.listed("1", fields) is None
        assert asking.work("1", fields) == Work(wanted={"1": fields})
        assert await asking.connection("1", fields) is not None
    assert asking.adapter.asked == [{"1": FULL}, {"1": FULL | NAMED}]


@pytest.mark.parametrize("id", ["3", "", "A"])
async def test_an_id_that_the_lists_in_memory_do_not_have_is_asked_for(id: str):
    asking = Asking(ById({"": rows("1", "a")}))
    await asking.read()
    assert asking.listed(id) is None
    assert await asking.connection(id) is None
    assert asking.adapter.asked == [{id: LIST_FIELDS}]


async def test_a_row_may_be_in_any_of_the_lists_in_memory():
    asking = Asking(ById({"one": rows("1"), "two": rows("2"), "three": rows("3")}))
    await asking.read("one")
    await asking.read("two", NAMED)
    assert [asking.listed(id) is not None for id in "123"] == [True, True, False]
    assert [asking.listed(id, NAMED) is not None for id in "123"] == [False, True, False]


async def test_a_demand_for_now_is_not_met_by_what_was_read_before(asking: Asking):
    await asking.read()
    now = Ask(0, time.monotonic(), takes_refreshing=False)
    assert asking.listed("1", ask=now) is None
    await asking.read(max_age=0)
    assert asking.listed("1", ask=now) is not None, "what the same request has read meanwhile"


async def test_one_request_may_want_less_here_and_more_there(asking: Asking):
    await asking.read()
    loaders, ask = Loaders(asking.instances, asking.inventory), asking.ask
    now = Ask(0, time.monotonic(), takes_refreshing=False)
    for _ in range(2):
        found = [
            loaders.listed(("a", "1"), fields, each) for fields in (LIST_FIELDS, NAMED, FULL) for each in (ask, now)
        ]
        assert [row is not None for row in found] == [True, *[False] * 5]


async def test_what_was_changed_through_the_gateway_is_asked_for_again(asking: Asking):
    await asking.read()
    asking.inventory.invalidate("a")
    assert asking.listed("1") is None
    assert await asking.connection("1") is not None
    assert asking.adapter.asked == [{"1": LIST_FIELDS}]


async def test_a_row_that_is_gone_when_its_list_is_read_again_is_not_given(asking: Asking):
    await asking.read()
    del asking.adapter.lists[""][0]
    assert asking.listed("1") is not None
    await asking.read(max_age=0)
    assert asking.listed("1") is None
    assert await asking.connection("1") is None


async def test_the_ids_of_one_request_are_completed_together_and_asked_for_together(asking: Asking):
    await asking.read()
    loaders = Loaders(asking.instances, asking.inventory)
    ask = asking.ask
    answers = await asyncio.gather(*(loaders.connection(("a", id), NAMED, ask) for id in "1289"))
    assert [answer.connection and answer.connection.name for answer in answers] == ["name 1", "name 2", None, None]
    assert (asking.adapter.given, asking.adapter.asked) == ([["1", "2"]], [dict.fromkeys("89", LIST_FIELDS)])


class Finding(ById):
    """Looks for several ids in its lists, as real ones do, and keeps what it looks up."""

    async def complete(self, connections: Sequence[Connection], fields: Fields) -> Completed:
        completed = await super().complete(connections, fields)
        return completed._replace(good_until=math.inf)

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        self.asked.append(dict(wanted))
        found = await walk.find(list(wanted), parts=("",), read=read or self.read, get=self._get)
        fields = LIST_FIELDS.union(*wanted.values())
        return await walk.completed(found, lambda records: self.complete(records, fields), lacks=self.adds(fields))

    async def _get(self, id: str) -> Connection:
        return next(row for row in self.rows if row.native_id == id)


async def test_what_is_looked_up_for_several_ids_is_kept_for_the_next_request():
    asking = Asking(Finding({"": rows("1", "2", "3")}))

    async def several(max_age: float) -> list[Connection | None]:
        loaders = Loaders(asking.instances, asking.inventory)
        ask = asking.ask._replace(max_age=max_age)
        return [(await each).connection for each in [loaders.later(("a", id), NAMED, ask, Answer.given) for id in "12"]]

    first = await several(LONG)
    assert [row and row.name for row in first] == ["name 1", "name 2"]
    assert asking.adapter.given == [["1", "2"]]
    listed = [asking.listed(id, NAMED) for id in "12"]
    assert all(map(operator.is_, first, listed)), "from the list that was read for them, without a call"
    again = await several(LONG)
    assert all(map(operator.is_, first, again))
    assert len(asking.adapter.reads) == 1
    now = await several(0)
    assert len(asking.adapter.reads) == 2
    assert all(map(operator.is_, first, now)), "the upstream's list is as it was"
    assert asking.adapter.given == [["1", "2"]]


async def test_what_an_id_lacks_that_was_asked_for_alone_is_not_kept():
    asking = Asking(Finding({"": rows("1", "2")}))
    for _ in range(2):
        found = await asking.connection("1", NAMED)
        assert found is not None
        assert found.name == "name 1"
    assert asking.adapter.given == [["1"], ["1"]]
    assert asking.inventory.completions.known(found, NAMED) is None


class Saying(ById):
    """Gives connections that are called by what was wanted of them, when it may."""

    def __init__(self, instance: str) -> None:
        super().__init__({})
        self.instance = instance
        self.came, self.may = asyncio.Event(), asyncio.Event()

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        self.came.set()
        await self.may.wait()
        return Found({id: connection(native_id=id, name=" ".join(fields)) for id, fields in wanted.items()})


async def test_a_batch_gives_what_was_wanted_of_it_whatever_a_later_one_brings_meanwhile():
    early, late = Saying("a"), Saying("b")
    loaders = Loaders(instances_of(early, late), Inventory(Ages(LONG, LONG, LONG), Bounds(1000, 1_000_000)))
    ask = Ask(LONG, time.monotonic())
    begun = [loaders.later((name, "1"), FULL, ask, lambda answer: answer.connection) for name in "ab"]
    await early.came.wait()
    early.may.set()
    other = await loaders.connection(("a", "1"), NAMED, ask)
    late.may.set()
    assert other.connection is not None
    assert other.connection.name == "name"
    assert [found and found.name for found in [await each for each in begun]] == ["details", "details"]


class Counting(ById):
    """Tells in which tasks it is asked; asked for "never", it does not answer, and tells when it was given up."""

    def __init__(self, lists: Mapping[str, Sequence[Connection]]) -> None:
        super().__init__(lists)
        self.tasks: list[object] = []
        self.came = asyncio.Event()
        self.given_up = False

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        self.tasks.append(asyncio.current_task())
        if "never" in wanted:
            self.came.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.given_up = True
                raise
        if "failing" in wanted:
            raise Unreachable("not today")
        return await super().get_many(wanted, read)


@pytest.fixture
def counting() -> Asking:
    return Asking(Counting({"": rows("1", "2")}))


async def test_what_is_asked_for_alone_is_loaded_by_who_waits_and_known_to_who_asks_later(counting: Asking):
    loaders, ask = Loaders(counting.instances, counting.inventory), counting.ask
    alone = await loaders.connection(("a", "1"), FULL, ask, alone=True)
    assert alone.connection == counting.adapter.rows[0]
    assert cast("Counting", counting.adapter).tasks == [asyncio.current_task()]
    assert await loaders.connection(("a", "1"), FULL, ask) == alone
    assert await loaders.connection(("a", "1"), LIST_FIELDS, ask, alone=True) == alone
    assert counting.adapter.asked == [{"1": FULL}]
    await loaders.connection(("a", "1"), FULL | NAMED, ask)
    assert counting.adapter.asked == [{"1": FULL}, {"1": FULL | NAMED}]


async def test_what_is_asked_for_alone_fails_as_in_a_batch(counting: Asking):
    for alone in (True, False):
        loaders = Loaders(counting.instances, counting.inventory)
        with pytest.raises(Unreachable) as failed:
            await loaders.connection(("a", "failing"), FULL, counting.ask, alone=alone)
        assert failed.value.instance == "a"
        assert failed.value.correlation_id


async def test_what_is_asked_for_alone_is_given_up_with_who_asked(counting: Asking):
    adapter = cast("Counting", counting.adapter)
    loaders = Loaders(counting.instances, counting.inventory)
    asked = asyncio.create_task(loaders.connection(("a", "never"), FULL, counting.ask, alone=True))
    await adapter.came.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert adapter.given_up
    answer = await loaders.connection(("a", "1"), FULL, counting.ask, alone=True)
    assert answer.connection == adapter.rows[0]


async def test_who_gives_up_waiting_costs_nobody_who_waits_for_the_same(counting: Asking):
    loaders, ask = Loaders(counting.instances, counting.inventory), counting.ask

    async def wait() -> Connection | None:
        return await loaders.later(("a", "1"), FULL, ask, lambda answer: answer.connection)

    given_up, waiting = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    given_up.cancel()
    assert await waiting == counting.adapter.rows[0]
    assert given_up.cancelled()
    assert counting.adapter.asked == [{"1": FULL}]


async def test_what_is_under_way_is_one_call_however_it_is_waited_for(counting: Asking):
    loaders, ask = Loaders(counting.instances, counting.inventory), counting.ask
    begun = [loaders.later(("a", id), FULL, ask, lambda answer: answer.connection) for id in "129"]
    assert [await each for each in begun] == [*counting.adapter.rows, None]
    assert [await each for each in begun] == [*counting.adapter.rows, None], "as often as one likes"
    assert counting.adapter.asked == [dict.fromkeys("129", FULL)]


async def test_a_failure_that_nobody_waits_for_is_not_complained_about(counting: Asking):
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    loaders, ask = Loaders(counting.instances, counting.inventory), counting.ask
    begun = [loaders.later(("a", "failing"), FULL, ask, Answer.given) for _ in range(2)]
    with pytest.raises(Unreachable):
        await begun.pop()
    begun.clear()
    loaders.close()
    del loaders
    gc.collect()
    await asyncio.sleep(0)
    assert not complaints


async def test_what_fails_while_it_is_read_fails_for_who_reads_it(counting: Asking):
    loaders = Loaders(counting.instances, counting.inventory)
    failing = loaders.later(("a", "1"), FULL, counting.ask, lambda _: 1 // 0)
    assert (await loaders.connection(("a", "1"), FULL, counting.ask)).connection == counting.adapter.rows[0]
    with pytest.raises(ZeroDivisionError):
        await failing
