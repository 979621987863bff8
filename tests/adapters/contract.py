"""What every adapter promises, tried over real HTTP against its provider's imitation.

A subclass names the provider, says how to make an imitation and where its lists are, and inherits every test:

    class TestAcme(AdapterContract):
        provider = PROVIDER
        list_path, rows_in, id_name = "/v1/things", "items", "id"
        secrets = (PLANTED,)

        def imitation(self, **options: Any) -> AcmeImitation:
            return AcmeImitation(clock=lambda: NOW, **options)
"""

import asyncio
import contextlib
import datetime as dt
import itertools
import operator
import socket
import time
import traceback
import typing
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st
from starlette.types import ASGIApp

from adapters import decode, errors, ids, walk
from adapters.errors import AdapterError
from adapters.http1 import Client
from adapters.imitation import Collation, ImitationServer, Knobs, ListImitation, Troubled, serve
from adapters.layout import BLOCK
from adapters.model import Connection, ConnectionStatus, Record, Run, RunStatus
from adapters.port import (
    LIST_FIELDS,
    Adapter,
    Capability,
    Fields,
    Filter,
    List,
    Narrowing,
    Order,
    OrderField,
    Page,
    Provider,
    Work,
)
from adapters.transport import Call
from gateway import filters
from gateway.instances import Instance
from gateway.tables import Table
from tests.adapters.contracted import (
    INSTANCE,
    NONSENSE,
    ODD,
    STATUSES,
    STEPS,
    Before,
    Contracted,
    Front,
    Refusing,
    Rewritten,
    agrees,
    built,
    calls,
    check_ordered,
    check_planned,
    filters_met_in,
    first_pages,
    has_ended,
    listed,
    meeting,
    native_ids,
    plainly,
    walked,
    wheres_of,
)
from tests.trees import inside, places, replaced, texts

IMPATIENT: Mapping[str, Any] = {"retries": 0, "timeout": 0.6}

SHOWS: Mapping[Capability, tuple[str, ...]] = {
    Capability.SCHEDULE: ("schedule",),
    Capability.LAST_RUN: ("last_run",),
    Capability.HEALTH_CHECKS: ("last_healthy_at", "last_unhealthy_at"),
    Capability.SCHEMA_CHANGES: ("schema_change",),
    Capability.ENVIRONMENTS: ("environment",),
    Capability.CATEGORIES: ("categories", "permissions"),
    Capability.DESCRIPTION: ("description",),
    Capability.DESTINATION: ("destination",),
    Capability.CREATED_AT: ("created_at", "updated_at"),
    Capability.WORKSPACE_NAMES: ("workspace_name",),
}
"""The fields of a record in which a capability shows; RUNS and RUN_COUNTS show in its runs."""

ORDERS = tuple(Order(field, way) for field in OrderField for way in (False, True))


def orders_of(adapter: Adapter) -> list[Order]:
    """The orders that an adapter claims. Where there are none, there is nothing to be tried."""
    claimed = list(filter(adapter.sorts, ORDERS))
    if not claimed:
        pytest.skip("its upstream sorts nothing")
    return claimed


UNRULY: tuple[Mapping[str, Any], ...] = (
    {},
    {"page_cap": 20},
    {"page_cap": 100},
    {"doubles": True},
    {"repeats": True},
    {"page_cap": 20, "doubles": True},
    {"page_cap": 20, "repeats": True},
    {"page_cap": 7, "doubles": True, "repeats": True},
)
"""What lists do that were not made for walking them; see `adapters.imitation.ListImitation`."""

PLANNED_FIELDS: tuple[Fields, ...] = (
    LIST_FIELDS,
    frozenset({"name", "source.type"}),
    frozenset({"source.name", "destination.name"}),
    frozenset({"source.icon"}),
    frozenset({"destination.version", "workspace_name"}),
    frozenset({"created_at"}),
    frozenset({"details"}),
)
"""Field paths that cost more than the list somewhere; "details" stands for all of the provider's own."""

UNHURRIED = hypothesis.settings(
    deadline=None,  # examples are calls
    max_examples=40,
    database=None,  # a failing example of one subclass means nothing to another
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.differing_executors],
)

UNREADABLE_ROWS: tuple[Any, ...] = (None, 42, "a row", [], {}, [[]], True)


class AdapterContract:
    """Inherit this, fill in what stands without a value, and every promise is tried."""

    provider: ClassVar[Provider]
    list_path: ClassVar[str]
    """How the path of the upstream's list ends."""
    rows_in: ClassVar[str | None] = None
    """The member of a list's answer that holds the rows; None where the answer is the rows."""
    id_name: ClassVar[str] = "id"
    """What a row's id is called on the wire."""
    text_name: ClassVar[str] = "name"
    """What a text of a row is called on the wire that our record holds."""
    secrets: ClassVar[tuple[str, ...]]
    """Parts of every credential that the imitation plants in its data and errors."""
    empty_bodies: ClassVar[frozenset[str]] = frozenset()
    """Of the nonsense bodies, those that are an empty list to this upstream."""
    calls_for_many: ClassVar[int] = 1
    """How many calls twenty ids cost at the most; the list has all of them on its first pages."""
    parted_by: ClassVar[str] = ""
    """The condition of a filter that says in which parts to look, where there are several."""
    several: ClassVar[Mapping[str, Any]] = {"size": 250}
    """What an imitation is made with so that some of its lists take several pages."""
    short_pages_end: ClassVar[bool] = True
    """Whether a page shorter than asked for is the end of the list, as far as anybody can know."""
    follows_rows: ClassVar[bool] = False
    """Whether a token stands by a row and not by a count, so that what vanishes before it moves nothing."""
    collates: ClassVar[bool] = False
    """Whether the imitation can be told how its upstream sorts texts."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Further settings of the instance."""

    def imitation(self, **options: Any) -> ListImitation:
        raise NotImplementedError

    # --- what the tests stand on ---

    @pytest.fixture(scope="class")
    @classmethod
    async def front(cls) -> AsyncGenerator["Front"]:
        """A server for all tests of the class, each of which puts its own imitation behind it."""
        front = Front()
        async with serve(front) as url:
            front.url = url
            yield front

    @pytest.fixture(autouse=True)
    def _stand(self, front: "Front") -> None:
        self._front = front

    @contextlib.asynccontextmanager
    async def over(self, imitation: ImitationServer, **settings: Any) -> AsyncGenerator[Contracted]:
        """As the function of this name, behind the server that stands already."""
        self._front.app = Troubled(imitation)
        async with Client() as client:
            adapter = built(self.provider, client, {**imitation.settings(self._front.url), **settings})
            yield Contracted(adapter, imitation, self._front.url, client)

    @pytest.fixture
    async def calm(self) -> AsyncGenerator[Contracted]:
        """An adapter whose upstream is well, for tests that only read."""
        async with self.over(self.imitation(), **self.settings) as contracted:
            yield contracted

    @pytest.fixture
    async def long(self) -> AsyncGenerator[Contracted]:
        """An adapter whose upstream is well, and has lists of several pages."""
        async with self.over(self.imitation(**self.several), **self.settings) as contracted:
            yield contracted

    @contextlib.asynccontextmanager
    async def troubled(self, only: str | None = None, **knobs: Any) -> AsyncGenerator[Contracted]:
        """A fresh adapter whose upstream makes trouble in its list, or wherever ``only`` says."""
        imitation = self.imitation()
        imitation.knobs = Knobs(only=self.list_path if only is None else only, **knobs)
        async with self.over(imitation, **{**self.settings, **IMPATIENT}) as contracted:
            yield contracted

    @contextlib.asynccontextmanager
    async def listing(self, change: Callable[[list[Any]], list[Any]], **options: Any) -> AsyncGenerator[Contracted]:
        """A fresh adapter whose upstream lists other rows than it should."""
        imitation = self.imitation(**options)

        def rewrite(body: Any) -> Any:
            if self.rows_in is None:
                return change(body)
            return {**body, self.rows_in: change(body[self.rows_in])}

        imitation.app = Rewritten(imitation.app, self.list_path, rewrite)
        async with self.over(imitation, **{**self.settings, **IMPATIENT}) as contracted:
            yield contracted

    @contextlib.asynccontextmanager
    async def before_calls(self, change: Callable[[Any, int], None]) -> AsyncGenerator[Contracted]:
        """A fresh adapter with lists of several pages, whose upstream changes before it answers a call of a list."""
        imitation = self.imitation(**self.several)
        imitation.app = Before(imitation.app, self.list_path, lambda number: change(imitation, number))
        async with self.over(imitation, **self.settings) as contracted:
            yield contracted

    async def failure(self, contracted: Contracted, expected: type[AdapterError]) -> AdapterError:
        """The error of a page, which must say where it happened and nothing that it should not."""
        with pytest.raises(expected) as raised:
            await first_pages(contracted.adapter)
        assert type(raised.value) is expected
        self.check_error(raised.value)
        return raised.value

    def check_error(self, error: AdapterError, *words: str) -> None:
        # What only shows when an answer is read is given its place by who asked the adapter.
        unplaced = isinstance(error, errors.ContractBroken | errors.Rejected)
        assert error.instance == INSTANCE or (unplaced and not error.instance)
        assert error.provider == self.provider.key or (unplaced and not error.provider)
        assert error.operation or unplaced
        assert error.message
        told = "".join(traceback.format_exception(error)) + repr(vars(error))
        for secret in (*self.secrets, *words):
            assert secret not in told

    def ids_of(self, contracted: Contracted) -> set[str]:
        """The native ids of all rows that the upstream has."""
        return {row[self.id_name] for row in contracted.imitation.rows()}

    # --- walking ---

    async def test_the_parts_are_the_same_each_time_and_none_comes_twice(self, calm: Contracted):
        parts = await calm.adapter.parts()
        assert len(set(parts)) == len(parts) > 0
        assert list(await calm.adapter.parts()) == list(parts)

    async def test_the_lists_of_all_parts_hold_each_connection_once(self, calm: Contracted):
        met = native_ids(await listed(calm.adapter))
        assert sorted(met) == sorted(self.ids_of(calm))

    @pytest.mark.parametrize("unruly", UNRULY, ids=repr)
    async def test_a_list_read_whole_is_what_its_pages_hold_one_after_the_other(self, unruly: dict[str, Any]):
        async with self.over(self.imitation(**{**self.several, **unruly}), **self.settings) as contracted:
            everything: set[str] = set()
            for part in await contracted.adapter.parts():
                pages = await plainly(contracted.adapter, List(part))
                walked = await walk.whole(contracted.adapter, List(part))
                one_after_the_other = list(dict.fromkeys(id for page in pages for id in native_ids(page.connections)))
                assert sorted(native_ids(walked.rows)) == sorted(one_after_the_other)
                assert native_ids(walked.rows) == one_after_the_other
                everything |= set(one_after_the_other)
            if self.is_complete(unruly):
                assert everything == self.ids_of(contracted)

    def is_complete(self, unruly: Mapping[str, Any]) -> bool:
        """Whether everything can be met of a list that is as unruly as this."""
        return not unruly.get("repeats") and not (self.short_pages_end and "page_cap" in unruly)

    async def test_some_list_takes_several_pages_or_none_ever_does(self, long: Contracted):
        pages = [len(await plainly(long.adapter, List(part))) for part in await long.adapter.parts()]
        assert max(pages) > 2 or set(pages) == {1}

    async def test_the_token_of_a_page_resumes_right_after_it_even_in_another_process(self, long: Contracted):
        another = built(self.provider, long.client, self.raw(long))
        assert list(await another.parts()) == list(await long.adapter.parts())
        for part in await another.parts():
            pages = await plainly(long.adapter, List(part))
            for page, following in itertools.pairwise(pages):
                assert (await another.read(List(part), after=page.next)).connections == following.connections

    async def test_a_token_told_ahead_leads_where_the_pages_before_it_lead(self, long: Contracted):
        for part in await long.adapter.parts():
            pages = await plainly(long.adapter, List(part))
            for at, page in enumerate(pages[:-1]):
                for further in range(1, len(pages) - at - 1):
                    assert page.next is not None
                    token = long.adapter.ahead(page.next, further)
                    if token is not None:
                        found = await long.adapter.read(List(part), after=token)
                        assert found.connections == pages[at + 1 + further].connections

    async def test_telling_tokens_ahead_makes_no_call(self, long: Contracted):
        pages = await first_pages(long.adapter)
        long.imitation.journal.clear()
        for page in pages:
            assert page.next is None or long.adapter.ahead(page.next, 3) != page.next
        assert long.imitation.journal.count() == 0

    @pytest.mark.parametrize("token", ["", "nonsense", "[]", "null", '["nowhere", 1]', "\ud800", "0", "[[]]", "[-1]"])
    async def test_a_token_of_somebody_else_is_rejected_or_stands_for_the_start(self, calm: Contracted, token: str):
        for part in await calm.adapter.parts():
            with contextlib.suppress(errors.Rejected):
                page = await calm.adapter.read(List(part), after=token)
                assert page.connections == (await calm.adapter.read(List(part))).connections

    async def test_a_page_costs_one_call_of_the_list(self, calm: Contracted):
        for part in await calm.adapter.parts():
            await calm.adapter.read(List(part))
            calm.imitation.journal.clear()
            await calm.adapter.read(List(part))
            assert calm.imitation.journal.count() == calm.imitation.journal.count(self.list_path) == 1

    async def test_a_page_says_how_long_its_body_was(self, long: Contracted):
        for part in await long.adapter.parts():
            for page in await plainly(long.adapter, List(part)):
                assert page.size_bytes > 20 * len(page.connections)
                assert len(page.digest) == 16

    async def test_an_upstream_that_always_gives_its_first_page_is_met_once(self):
        pages: list[list[Any]] = []

        def first(rows: list[Any]) -> list[Any]:
            pages.append(rows)
            assert len(pages) < STEPS, "the walk does not end"
            return pages[0]

        async with self.listing(first, **self.several) as contracted:
            part = (await contracted.adapter.parts())[0]
            met = native_ids((await walk.whole(contracted.adapter, List(part))).rows)
        assert sorted(met) == sorted({row[self.id_name] for row in pages[0]})

    async def test_rows_that_come_twice_side_by_side_are_met_once(self):
        async with self.listing(lambda rows: [row for row in rows for _ in range(2)]) as contracted:
            page = (await first_pages(contracted.adapter))[0]
        met = native_ids(page.connections)
        assert len(met) == len(set(met)) > 0

    async def test_rows_that_appear_during_a_walk_cost_no_other_row(self):
        def grow(imitation: Any, number: int) -> None:
            imitation.size += 7 * (number in (1, 2, 4))

        async with self.before_calls(grow) as contracted:
            before = self.ids_of(contracted)
            met = native_ids(await listed(contracted.adapter))
            assert len(met) == len(set(met))
            assert before <= set(met) <= self.ids_of(contracted)

    async def test_rows_that_vanish_ahead_of_a_walk_cost_no_other_row(self, long: Contracted):
        lists = {part: await plainly(long.adapter, List(part)) for part in await long.adapter.parts()}
        for part, pages in lists.items():
            gone = {id for page in pages[2:] for id in native_ids(page.connections)[::3]}

            def vanish(imitation: Any, number: int, gone: set[str] = gone) -> None:
                imitation.deleted = gone if number > 1 else set[str]()

            async with self.before_calls(vanish) as contracted:
                met = native_ids((await walk.whole(contracted.adapter, List(part))).rows)
            everything = [id for page in pages for id in native_ids(page.connections)]
            assert [id for id in met if id not in gone] == [id for id in everything if id not in gone]

    @pytest.mark.parametrize("places", [(0,), (-1,), (0, 3, 5), (-2, -1), (0, -1)], ids=repr)
    async def test_rows_that_vanish_behind_a_walk_bring_none_twice_and_cost_no_more_than_they_are(
        self, long: Contracted, places: tuple[int, ...]
    ):
        lists = {part: await plainly(long.adapter, List(part)) for part in await long.adapter.parts()}
        for part, pages in lists.items():
            first = native_ids(pages[0].connections)
            gone = {first[place] for place in places}

            def vanish(imitation: Any, number: int, gone: set[str] = gone) -> None:
                imitation.deleted = gone if number else set[str]()

            async with self.before_calls(vanish) as contracted:
                met = native_ids((await walk.whole(contracted.adapter, List(part))).rows)
            assert len(met) == len(set(met))
            lost = {id for page in pages for id in native_ids(page.connections)} - gone - set(met)
            # Where the row that a token stands by is gone too, only counting is left.
            is_exact = self.follows_rows and (first[-1] not in gone or gone == {first[-1]})
            assert len(lost) <= (0 if is_exact else len(gone))

    # --- reading again ---

    async def test_a_page_read_again_is_the_very_same_where_its_body_is(self, long: Contracted):
        for part in await long.adapter.parts():
            after = None
            for page in await plainly(long.adapter, List(part)):
                again = await long.adapter.read(List(part), after=after, last=page)
                assert again is page or has_ended(page)
                after = page.next

    async def test_a_page_in_another_order_is_the_very_same_too(self, long: Contracted):
        for order in orders_of(long.adapter):
            of = List((await long.adapter.parts())[0], order=order)
            page = await long.adapter.read(of)
            assert await long.adapter.read(of, last=page) is page or has_ended(page)

    async def test_a_list_read_whole_again_is_the_very_same_where_nothing_changed(self, long: Contracted):
        for part in await long.adapter.parts():
            walked = await walk.whole(long.adapter, List(part))
            again = await walk.whole(long.adapter, List(part), last=walked)
            assert again is walked or any(map(has_ended, walked.pages))

    async def test_what_is_given_as_the_last_page_of_another_list_does_no_harm(self, long: Contracted):
        first, *others = await first_pages(long.adapter)
        parts = await long.adapter.parts()
        for part, page in zip(parts[1:], others, strict=True):
            read = await long.adapter.read(List(part), last=first)
            # It may be said to be good for less long than it is, for the sake of rows that it turns out not to have.
            assert read._replace(good_until=None) == page._replace(good_until=None)

    async def test_a_row_that_changed_costs_no_other_row_its_object(self):
        changed: list[str] = []

        def change(rows: list[Any]) -> list[Any]:
            return [{**row, self.text_name: "Changed"} if row[self.id_name] in changed else row for row in rows]

        async with self.listing(change, **self.several) as contracted:
            for part in await contracted.adapter.parts():
                before = await walk.whole(contracted.adapter, List(part))
                for row in (before.rows[0], before.rows[len(before.rows) // 2], before.rows[-1]):
                    changed[:] = [row.native_id]
                    after = await walk.whole(contracted.adapter, List(part), last=before)
                    anew = [new.native_id for new, old in zip(after.rows, before.rows, strict=True) if new is not old]
                    assert anew == [row.native_id]
                    assert "Changed" in repr(after.rows)

    @pytest.mark.parametrize(
        "change", ["nothing", "changed", "moved", "removed", "added", "unreadable", "doubled", "all changed"]
    )
    async def test_a_row_of_a_page_that_did_not_change_is_the_very_same_wherever_it_stands(self, change: str):
        changes: list[str] = []

        def rewrite(rows: list[Any]) -> list[Any]:
            return self.change(rows, changes[-1]) if changes else rows

        async with self.listing(rewrite) as contracted:
            for part in await contracted.adapter.parts():
                changes.clear()
                before = await contracted.adapter.read(List(part))
                changes.append(change)
                after = await contracted.adapter.read(List(part), last=before)
                anew = await contracted.adapter.read(List(part))
                self.check_kept(before, after, anew)
                gained = {"changed": 1, "added": 1, "all changed": len(before.connections)}
                assert len(after.connections) - self.kept(before, after) == gained.get(change, 0)
                still = await contracted.adapter.read(List(part), last=after)
                self.check_kept(after, still, anew)
                assert still.digest == anew.digest, "a body that comes again is known by it"
                assert await contracted.adapter.read(List(part), last=still) is still
                changes.clear()
                again = await contracted.adapter.read(List(part), last=after)
                self.check_kept(after, again, before)

    async def test_of_a_list_in_which_one_row_changed_that_row_is_read_alone(self, monkeypatch: pytest.MonkeyPatch):
        names = ["Changed", "C", "Changed to something longer than anything before"]
        name: list[str] = []

        def rewrite(rows: list[Any]) -> list[Any]:
            return [{**row, self.text_name: name[-1]} if name and n == 1 else row for n, row in enumerate(rows)]

        async with self.listing(rewrite, **self.several) as contracted:
            part = (await contracted.adapter.parts())[0]
            page = await contracted.adapter.read(List(part))
            assert len(page.connections) >= BLOCK
            for each in names:
                name.append(each)
                before, anew = page, await contracted.adapter.read(List(part))
                with monkeypatch.context() as patched:
                    patched.delattr(decode, "rows")
                    page = await contracted.adapter.read(List(part), last=before)
                self.check_kept(before, page, anew)
                assert each in repr(page.connections[1])

    async def test_a_row_in_whose_place_another_one_came_again_is_left_out(self):
        changed: list[bool] = []

        def rewrite(rows: list[Any]) -> list[Any]:
            return [
                {**row, self.id_name: rows[0][self.id_name]} if changed and n == 1 else row
                for n, row in enumerate(rows)
            ]

        async with self.listing(rewrite, **self.several) as contracted:
            part = (await contracted.adapter.parts())[0]
            before = await contracted.adapter.read(List(part))
            changed.append(True)
            after = await contracted.adapter.read(List(part), last=before)
            self.check_kept(before, after, await contracted.adapter.read(List(part)))
            assert len(after.connections) == len(before.connections) - 1

    def change(self, rows: list[Any], how: str) -> list[Any]:
        """The rows of a list with something done to them. What stands last stays there: some tokens stand by it."""
        middle = len(rows) // 2
        before, row, after = rows[:middle], rows[middle], rows[middle + 1 :]
        changed: Mapping[str, list[Any]] = {
            "nothing": rows,
            "changed": [*before, {**row, self.text_name: "Changed"}, *after],
            "all changed": [{**each, self.text_name: f"Changed {number}"} for number, each in enumerate(rows)],
            "moved": [row, *after[:-1], *before, after[-1]],
            "removed": [*before, *after],
            "added": [*before, {**row, self.id_name: "f" * 32}, row, *after],
            "unreadable": [42, *before, {**row, self.id_name: ""}, row, *after],
            "doubled": [*before, row, row, *after],
        }
        return changed[how]

    def kept(self, before: Page, after: Page) -> int:
        """How many connections of a page are the very same in another one."""
        were = set(map(id, before.connections))
        return sum(id(row) in were for row in after.connections)

    def check_kept(self, before: Page, after: Page, anew: Page) -> None:
        """A page that was read after another one is as if it were read for the first time, and what did not change in
        it is what it was. Of a body of which only parts were compared there is no digest."""
        digest = anew.digest if after.digest else b""
        assert after._replace(good_until=None) == anew._replace(good_until=None, digest=digest)
        assert len(after.row_digests) == len(after.connections)
        were = {row.native_id: row for row in before.connections}
        for row in after.connections:
            assert row is were.get(row.native_id) or row != were.get(row.native_id)

    async def test_what_could_not_be_read_the_last_time_is_read_when_it_can_be(self):
        broken = [True]

        def rewrite(rows: list[Any]) -> list[Any]:
            return [{**row, self.id_name: None} if broken[0] and not n % 3 else row for n, row in enumerate(rows)]

        async with self.listing(rewrite) as contracted:
            part = (await contracted.adapter.parts())[0]
            before = await contracted.adapter.read(List(part))
            assert before.dropped > 0
            broken[0] = False
            after = await contracted.adapter.read(List(part), last=before)
            assert (after.dropped, len(after.connections)) == (0, len(before.connections) + before.dropped)
            assert self.kept(before, after) == len(before.connections)

    async def test_rows_that_vanish_or_appear_cost_no_other_row_its_object(self, long: Contracted):
        imitation = long.imitation
        for part in await long.adapter.parts():
            imitation.deleted = set()
            before = await walk.whole(long.adapter, List(part))
            imitation.deleted = {before.rows[1].native_id}
            imitation.size += 20
            after = await walk.whole(long.adapter, List(part), last=before)
            kept = {row.native_id: row for row in before.rows}
            assert imitation.deleted.isdisjoint(native_ids(after.rows))
            assert len(after.rows) > len(before.rows)
            assert all(row is kept[row.native_id] for row in after.rows if row.native_id in kept)

    # --- orders and filters ---

    @pytest.mark.parametrize("collation", ["folded", "binary"])
    async def test_an_order_that_is_claimed_is_kept_and_its_walk_meets_each_connection_once(self, collation: Collation):
        options = {"collation": collation} if self.collates else {}
        async with self.over(self.imitation(**self.several, **options), **self.settings) as contracted:
            for order in orders_of(contracted.adapter):
                met: list[str] = []
                for part in await contracted.adapter.parts():
                    pages = await plainly(contracted.adapter, List(part, order=order))
                    rows = [row for page in pages for row in page.connections]
                    met += native_ids(rows)
                    named = await contracted.adapter.complete(rows, frozenset({"name", "source.name"}))
                    if len(pages) > 1:  # of a single page nobody asks in which order it is
                        check_ordered(named.connections, order, collation)
                assert sorted(met) == sorted(self.ids_of(contracted)), order

    async def test_orders_that_are_not_claimed_are_those_that_no_list_could_keep(self, calm: Contracted):
        """What is claimed is claimed both ways, and never what is not upstream's to know."""
        for field in OrderField:
            claimed = {calm.adapter.sorts(Order(field, way)) for way in (False, True)}
            assert len(claimed) == 1
            assert claimed == {False} or field not in (OrderField.PROVIDER, OrderField.OVERDUE, OrderField.STATUS)

    @UNHURRIED
    @hypothesis.given(data=st.data())
    async def test_what_is_narrowed_upstream_loses_nothing_that_meets_the_filter(
        self, calm: Contracted, data: st.DataObject
    ):
        everything = await listed(calm.adapter)
        where = data.draw(filters_met_in(everything))
        narrowing = calm.adapter.narrow(where)
        assert narrowing.conditions <= filters.conditions(where).keys()
        parts = [part for part in await calm.adapter.parts() if narrowing.parts is None or part in narrowing.parts]
        walks = [await walk.whole(calm.adapter, List(part, narrowing.asked)) for part in parts]
        read = [row for walked in walks for row in walked.rows]
        # A part may hold more than the condition that chose it says.
        used = narrowing.conditions | ({self.parted_by} if narrowing.parts is not None else set[str]())
        narrowed = meeting({name: getattr(where, name) for name in used})
        assert self.met_by(calm, narrowed, everything) <= set(native_ids(read))
        assert self.met_by(calm, where, read) == self.met_by(calm, where, everything)
        assert {row.native_id: row for row in everything}.items() >= {row.native_id: row for row in read}.items()

    def met_by(self, contracted: Contracted, where: Filter, rows: Sequence[Connection]) -> set[str]:
        """The native ids of the rows that meet a filter, judged here."""
        table, instance = Table(INSTANCE, rows), Instance(INSTANCE, self.provider, contracted.adapter)
        mask = filters.joined(filters.masks(where, table, instance, dt.datetime.now(dt.UTC)), table.all)
        return set(table.counts(native_ids(rows), mask))

    async def test_a_list_that_was_narrowed_is_walked_to_its_end(self, long: Contracted):
        everything, parts = await listed(long.adapter), await long.adapter.parts()
        for where in wheres_of(everything[:3]):
            narrowing = long.adapter.narrow(where)
            if narrowing.asked:
                walks = [await walk.whole(long.adapter, List(part, narrowing.asked)) for part in parts]
                read = [row for walked in walks for row in walked.rows]
                assert self.met_by(long, where, read) == self.met_by(long, where, everything)

    async def test_the_parts_that_are_narrowed_to_hold_nothing_else(self, calm: Contracted):
        if not self.parted_by:
            return
        for part in await calm.adapter.parts():
            where = meeting({self.parted_by: (part,)})
            narrowing = calm.adapter.narrow(where)
            assert narrowing.parts == frozenset({part})
            rows = (await walk.whole(calm.adapter, List(part))).rows
            assert self.met_by(calm, where, await listed(calm.adapter)) <= set(native_ids(rows))
            if self.parted_by in narrowing.conditions:  # then nobody judges it again
                assert self.met_by(calm, where, rows) == set(native_ids(rows))

    async def test_a_filter_without_conditions_narrows_nothing(self, calm: Contracted):
        assert calm.adapter.narrow(Filter()) == Narrowing()

    async def test_what_stands_in_not_narrows_nothing(self, calm: Contracted):
        for where in wheres_of((await listed(calm.adapter))[:5]):
            assert calm.adapter.narrow(Filter(not_=where)) == Narrowing()

    # --- plans ---

    @pytest.mark.parametrize("fields", PLANNED_FIELDS, ids=lambda fields: ", ".join(sorted(fields)) or "list fields")
    @pytest.mark.parametrize("work", ["lists", "one part", "1 id", "2 ids", "5 ids", "20 ids", "lists, 1 id"])
    async def test_a_plan_names_the_calls_that_are_then_made(self, work: str, fields: Fields):
        async with self.planning() as (contracted, made):
            known = native_ids(await listed(contracted.adapter))
            adapter = built(self.provider, contracted.client, self.raw(contracted), made.append)
            for _ in range(2):  # cold, and with whatever is kept of the first time
                made.clear()
                contracted.imitation.journal.clear()
                asked = self.work(adapter, work, self.own(fields), known)
                planned = adapter.plan(asked)
                assert contracted.imitation.journal.count() == 0, "a plan makes no call"
                await self.carry_out(adapter, asked)
                assert len(made) == contracted.imitation.journal.count()
                check_planned(planned, made)

    async def test_nothing_to_do_takes_no_calls(self, calm: Contracted):
        assert list(calm.adapter.plan(Work())) == []

    @contextlib.asynccontextmanager
    async def planning(self) -> AsyncGenerator[tuple[Contracted, list[Call]]]:
        async with self.over(self.imitation(), **self.settings) as contracted:
            yield contracted, []

    def raw(self, contracted: Contracted) -> Mapping[str, Any]:
        return {**contracted.imitation.settings(contracted.url), **self.settings}

    def own(self, fields: Fields) -> Fields:
        """The field paths, and with "details" among them, all that the provider's own record has."""
        if "details" not in fields:
            return fields
        name = self.provider.details.__name__
        return fields - {"details"} | {f"{name}.{field}" for field in self.provider.details.__struct_fields__}

    def work(self, adapter: Adapter, of: str, fields: Fields, known: Sequence[str]) -> Work:
        """The work of this name."""
        count = next((int(word) for word in of.replace(",", "").split() if word.isdecimal()), 0)
        wanted = dict.fromkeys(known[:count], fields)
        if "lists" in of:
            return Work(Narrowing(), fields, wanted)
        if of == "one part":
            where = meeting({self.parted_by: (self.a_part(),)}) if self.parted_by else Filter()
            return Work(adapter.narrow(where), fields)
        return Work(wanted=wanted)

    def a_part(self) -> str:
        """One of the parts, by name."""
        raise NotImplementedError

    async def carry_out(self, adapter: Adapter, work: Work) -> None:
        if work.lists is not None:
            parts = [part for part in await adapter.parts() if work.lists.parts is None or part in work.lists.parts]
            pages = [await adapter.read(List(part)) for part in parts]
            await adapter.complete([row for page in pages for row in page.connections], work.fields)
        if work.wanted:
            await adapter.get_many(work.wanted)

    # --- records ---

    async def test_ids_decode_to_the_instance_and_the_native_id(self, calm: Contracted):
        for connection in await listed(calm.adapter):
            assert ids.decode(connection.id) == (INSTANCE, connection.native_id)
            assert self.provider.native_id.fullmatch(connection.native_id)
            assert (connection.instance, connection.provider) == (INSTANCE, self.provider.key)

    async def test_details_are_the_provider_s_own_record(self, calm: Contracted):
        for connection in await listed(calm.adapter):
            assert isinstance(connection.details, self.provider.details)

    async def test_every_status_has_its_evidence(self, calm: Contracted):
        for connection in await listed(calm.adapter):
            reason = connection.status_reason
            assert isinstance(connection.status, ConnectionStatus)
            assert reason.message.endswith(".")
            assert reason.field
            assert reason.raw_value is not None or connection.status is ConnectionStatus.NEVER_RAN

    async def test_times_are_aware(self, calm: Contracted):
        for connection in await listed(calm.adapter):
            run = connection.last_run
            moments = [
                connection.created_at,
                connection.updated_at,
                connection.last_healthy_at,
                connection.last_unhealthy_at,
                connection.status_reason.since,
                *((run.started_at, run.ended_at) if run else ()),
            ]
            assert all(moment.utcoffset() is not None for moment in moments if moment is not None)

    async def test_no_record_holds_a_planted_secret(self, calm: Contracted):
        connections = await listed(calm.adapter)
        details = frozenset(f"{self.provider.details.__name__}.{n}" for n in self.provider.details.__struct_fields__)
        found = await calm.adapter.get_many(dict.fromkeys(native_ids(connections), details | {"source.icon"}))
        assert len(found.by_id) == len(connections)
        assert all(isinstance(record, Connection) for record in found.by_id.values())
        told = repr(connections) + repr(found) + msgspec.json.encode(list(found.by_id.values())).decode()
        for secret in self.secrets:
            assert secret not in told

    async def test_the_imitation_does_plant_its_secrets(self, calm: Contracted):
        sent = calm.imitation.settings(calm.url), calm.imitation.rows()
        error = bytes(calm.imitation.error_response(500).body).decode()
        full = [self.full_row(calm.imitation, number) for number in range(10)]
        assert any(secret in repr((sent, error, full)) for secret in self.secrets)

    def full_row(self, imitation: Any, number: int) -> Any:
        """All that the upstream answers of one connection."""
        return imitation.rows()[number]

    # --- capabilities ---

    @pytest.mark.parametrize("capability", SHOWS, ids=lambda capability: capability.value)
    async def test_a_field_is_filled_somewhere_exactly_where_the_capability_says_so(
        self, calm: Contracted, capability: Capability
    ):
        connections = await walked(calm.adapter, frozenset({"workspace_name"}))
        for name in SHOWS[capability]:
            filled = any(getattr(connection, name) not in (None, ()) for connection in connections)
            assert filled == (capability in self.provider.capabilities), name

    async def test_runs_are_listed_exactly_where_the_capability_says_so(self, calm: Contracted):
        connections = await listed(calm.adapter)
        calm.imitation.journal.clear()
        if Capability.RUNS in self.provider.capabilities:
            pages = [await calm.adapter.runs(connection, after=None, limit=2) for connection in connections[:20]]
            assert any(page.runs for page in pages)
            counted = any(run.records_synced is not None for page in pages for run in page.runs)
            assert counted == (Capability.RUN_COUNTS in self.provider.capabilities)
        else:
            with pytest.raises(errors.Unsupported) as raised:
                await calm.adapter.runs(connections[0], after=None, limit=2)
            self.check_error(raised.value)
            assert calm.imitation.journal.count() == 0

    @pytest.mark.parametrize("limit", [1, 2, 7, 100])
    async def test_a_walk_over_runs_meets_each_once_the_newest_first(self, calm: Contracted, limit: int):
        if Capability.RUNS not in self.provider.capabilities:
            return
        for connection in (await listed(calm.adapter))[:3]:
            met: list[Run] = []
            total, after = None, None
            for count in itertools.count():
                assert count < STEPS, "the walk does not end"
                page = await calm.adapter.runs(connection, after=after, limit=limit)
                assert len(page.runs) == len(page.tokens) <= limit
                met += page.runs
                total = page.total
                if not page.more:
                    break
                after = page.tokens[-1]
            assert total in (None, len(met))
            assert len({run.id for run in met}) == len(met)
            starts = [run.started_at for run in met if run.started_at]
            assert starts == sorted(starts, reverse=True)

    async def test_the_last_run_is_the_first_of_the_runs(self, calm: Contracted):
        if Capability.RUNS not in self.provider.capabilities:
            return
        for connection in (await listed(calm.adapter))[:20]:
            page = await calm.adapter.runs(connection, after=None, limit=1)
            assert (connection.last_run is None) == (not page.runs)
            if connection.last_run:
                assert agrees(connection.last_run, page.runs[0])
                assert page.runs[0].status is not RunStatus.UNKNOWN

    # --- completing ---

    async def test_what_a_list_holds_anyway_is_completed_by_giving_back_the_very_same(self, calm: Contracted):
        rows = await listed(calm.adapter)
        calls(calm)
        completed = await calm.adapter.complete(rows, frozenset({"status", "source.type", "running"}))
        assert all(map(operator.is_, completed.connections, rows))
        assert calls(calm) == {}
        assert not completed.failures
        nothing = await calm.adapter.complete((), self.own(frozenset({"source.name", "details", "workspace_name"})))
        assert nothing.connections == ()

    async def test_field_paths_that_add_nothing_leave_every_row_the_very_same_and_cost_no_call(self, calm: Contracted):
        rows = await listed(calm.adapter)
        paths = self.all_paths(Connection)
        whole = frozenset(path for path in paths if not calm.adapter.adds(frozenset({path})))
        assert not calm.adapter.adds(whole)
        assert {"id", "status", "native_id"} <= whole
        calls(calm)
        completed = await calm.adapter.complete(rows, whole)
        assert all(map(operator.is_, completed.connections, rows))
        assert calls(calm) == {}

    @pytest.mark.parametrize("fields", PLANNED_FIELDS, ids=lambda fields: ", ".join(sorted(fields)) or "list fields")
    async def test_rows_completed_already_gain_nothing_and_stay_the_very_same(self, calm: Contracted, fields: Fields):
        fields = self.own(fields)
        rows = (await calm.adapter.complete(await listed(calm.adapter), fields)).connections
        again = await calm.adapter.complete(rows, fields)
        assert again.connections == rows
        if calm.adapter.holds(fields):
            assert all(map(operator.is_, again.connections, rows))

    @pytest.mark.parametrize("fields", PLANNED_FIELDS, ids=lambda fields: ", ".join(sorted(fields)) or "list fields")
    async def test_as_long_as_completing_is_good_it_costs_no_call_and_adds_the_same(
        self, calm: Contracted, fields: Fields
    ):
        fields = self.own(fields)
        rows = await listed(calm.adapter)
        first = await calm.adapter.complete(rows, fields)
        is_kept = first.good_until > time.monotonic()
        assert is_kept or first.good_until == 0.0
        assert is_kept == calm.adapter.holds(fields), "nothing but full records is read for each row anew"
        calls(calm)
        again = await calm.adapter.complete(rows, fields)
        assert again.connections == first.connections
        assert again.good_until == first.good_until
        assert bool(calls(calm)) == (not is_kept)

    @pytest.mark.parametrize("fields", PLANNED_FIELDS, ids=lambda fields: ", ".join(sorted(fields)) or "list fields")
    async def test_completing_that_failed_is_good_for_no_time(self, fields: Fields):
        async with self.over(self.imitation(), **{**self.settings, **IMPATIENT}) as contracted:
            rows = await listed(contracted.adapter)
            contracted.imitation.knobs = Knobs(status=500)
            completed = await contracted.adapter.complete(rows, self.own(fields))
            assert native_ids(completed.connections) == native_ids(rows)
            if completed.failures:
                assert completed.good_until == 0.0
            else:
                assert completed.connections == tuple(rows)

    def all_paths(self, kind: type[msgspec.Struct], above: str = "") -> Iterator[str]:
        """The field paths of everything that a record can hold, down to what is no record of ours."""
        for field in msgspec.structs.fields(kind):
            if field.name == "details":
                yield from self.all_paths(self.provider.details, f"{self.provider.details.__name__}.")
                continue
            yield above + field.name
            kinds = [one for one in typing.get_args(field.type) if isinstance(one, type) and issubclass(one, Record)]
            if not above and kinds:
                yield from self.all_paths(kinds[0], f"{field.name}.")

    def value(self, row: Connection, path: str) -> Any:
        """What stands at a field path of a record."""
        value: Any = row
        for name in path.split("."):
            value = row.details if name == self.provider.details.__name__ else value and getattr(value, name)
        return value

    async def test_a_listed_row_that_holds_what_is_wanted_says_what_the_record_by_id_says(self, calm: Contracted):
        rows = await listed(calm.adapter)
        paths = set(self.all_paths(Connection))
        assert {"source.name", f"{self.provider.details.__name__}.{self.provider.details.__struct_fields__[0]}"} < paths
        held = frozenset(path for path in paths if calm.adapter.holds(frozenset({path})))
        assert calm.adapter.holds(held)
        assert calm.adapter.holds(LIST_FIELDS)
        completed = (await calm.adapter.complete(rows, held)).connections
        for row in completed[::5]:
            found = (await calm.adapter.get_many({row.native_id: held})).by_id[row.native_id]
            assert isinstance(found, Connection)
            told = {path: (self.value(row, path), self.value(found, path)) for path in sorted(held)}
            assert {path: both for path, both in told.items() if both[0] != both[1]} == {}

    async def test_each_field_that_a_row_holds_is_held_when_it_is_wanted_alone(self, calm: Contracted):
        row = (await listed(calm.adapter))[0]
        for path in self.all_paths(Connection):
            fields = frozenset({path})
            if calm.adapter.holds(fields):
                completed = (await calm.adapter.complete([row], fields)).connections[0]
                found = (await calm.adapter.get_many({row.native_id: fields})).by_id[row.native_id]
                assert isinstance(found, Connection)
                assert self.value(completed, path) == self.value(found, path), path

    # --- by id ---

    async def test_ids_are_sought_in_lists_from_memory_where_there_are_some(self, calm: Contracted):
        pages = {List(part): await calm.adapter.read(List(part)) for part in await calm.adapter.parts()}
        asked: list[List] = []

        async def read(of: List) -> Page:
            asked.append(of)
            return pages[of]

        ids = [id for page in pages.values() for id in native_ids(page.connections)]
        wanted = dict.fromkeys(ids, LIST_FIELDS)
        anew = await calm.adapter.get_many(wanted)
        calls(calm)
        found = await calm.adapter.get_many(wanted, read)
        assert calls(calm) == {}
        assert set(asked) == set(pages)
        assert found == anew
        kept = {row.native_id: row for page in pages.values() for row in page.connections}
        assert all(found.by_id[id] is row for id, row in kept.items())

    async def test_a_list_that_memory_fails_to_give_fails_the_ids_sought_in_it(self, calm: Contracted):
        broken = errors.TimedOut("it was not read in time")

        async def read(of: List) -> Page:
            raise broken

        ids = native_ids(await listed(calm.adapter))
        found = await calm.adapter.get_many(dict.fromkeys(ids, LIST_FIELDS), read)
        assert set(found.by_id.values()) == {broken}

    async def test_a_record_found_by_id_says_what_the_list_says(self, calm: Contracted):
        connections = {connection.native_id: connection for connection in await listed(calm.adapter)}
        together = (await calm.adapter.get_many(dict.fromkeys(connections, LIST_FIELDS))).by_id
        assert set(together) == set(connections)
        for id, known in connections.items():
            alone = (await calm.adapter.get_many({id: LIST_FIELDS})).by_id
            assert set(alone) == {id}
            for found in (alone[id], together[id]):
                assert isinstance(found, Connection)
                assert agrees(known, found), (known, found)

    async def test_unknown_ids_are_absent_alone_and_among_others(self, calm: Contracted):
        known = native_ids(await listed(calm.adapter))
        unknown = known[0][:-4] + ("0000" if known[0][-4:] != "0000" else "1111")
        assert unknown not in known
        assert (await calm.adapter.get_many({unknown: LIST_FIELDS})).by_id == {}
        mixed = dict.fromkeys([*known[:10], unknown, *known[30:40]], LIST_FIELDS)
        assert set((await calm.adapter.get_many(mixed)).by_id) == {*known[:10], *known[30:40]}

    async def test_no_ids_cost_no_call(self, calm: Contracted):
        calm.imitation.journal.clear()
        assert (await calm.adapter.get_many({})).by_id == {}
        assert calm.imitation.journal.count() == 0

    async def test_one_id_costs_one_call_and_many_cost_few(self, calm: Contracted):
        known = native_ids(await listed(calm.adapter))
        for count, most in ((1, 1), (min(20, len(known)), self.calls_for_many), (len(known), self.calls_for_many)):
            calm.imitation.journal.clear()
            found = await calm.adapter.get_many(dict.fromkeys(known[:count], LIST_FIELDS))
            assert len(found.by_id) == count
            assert calm.imitation.journal.count() <= most, calm.imitation.journal.by_path()

    @pytest.mark.parametrize("fields", PLANNED_FIELDS, ids=lambda fields: ", ".join(sorted(fields)) or "list fields")
    async def test_the_single_call_for_an_id_brings_what_finding_it_brings(self, calm: Contracted, fields: Fields):
        adapter, fields = calm.adapter, self.own(fields)
        for id in native_ids(await listed(adapter))[:20]:
            calm.imitation.journal.clear()
            single = adapter.single(id, fields)
            assert calm.imitation.journal.count() == 0
            if single is None:  # which says nothing of what it takes
                continue
            made = await single.made(await adapter.transport.send(single.request))
            assert made.connections == ((await adapter.get_many({id: fields})).by_id[id],)
            calm.imitation.journal.clear()
            body = await adapter.transport.send(single.request)
            again = [walk.without_waiting(single.made(body)) for _ in range(2)]  # all names are known by then
            assert [each and each._replace(good_until=0) for each in again] == [made._replace(good_until=0)] * 2
            assert again[-1] is not None
            assert again[-1].good_until > time.monotonic() or (adapter.adds(fields) and again[-1].good_until == 0)
            assert calm.imitation.journal.count() == 1

    async def test_the_single_call_for_an_id_that_is_unknown_finds_nothing(self, calm: Contracted):
        known = native_ids(await listed(calm.adapter))[0]
        single = calm.adapter.single(known[:-4] + ("0000" if known[-4:] != "0000" else "1111"), LIST_FIELDS)
        if single is not None:
            with pytest.raises(errors.NotFound):
                await calm.adapter.transport.send(single.request)

    @pytest.mark.parametrize("status", [404, 500])
    async def test_one_failing_id_costs_only_itself(self, status: int):
        # A list that nobody can read makes the adapter ask for each.
        async with self.listing(lambda _: [None]) as contracted:
            known = [row[self.id_name] for row in contracted.imitation.rows()][:5]
            contracted.imitation.app = Refusing(contracted.imitation.app, known[2], status)
            found = (await contracted.adapter.get_many(dict.fromkeys(known, LIST_FIELDS))).by_id
        failed = found.get(known[2])
        assert {id for id, answer in found.items() if isinstance(answer, Connection)} == {*known[:2], *known[3:]}
        assert failed is None if status == 404 else isinstance(failed, errors.UpstreamFault)
        if isinstance(failed, AdapterError):
            self.check_error(failed)

    async def test_an_answer_about_another_connection_is_no_answer(self):
        imitation = self.imitation()
        known = [row[self.id_name] for row in imitation.rows()]
        imitation.app = _Renamed(imitation.app, known[0], known[1])
        async with self.over(imitation, **{**self.settings, **IMPATIENT}) as contracted:
            found = (await contracted.adapter.get_many({known[0]: LIST_FIELDS})).by_id
        assert set(found) == {known[0]}
        assert isinstance(found[known[0]], errors.ContractBroken)

    # --- trouble ---

    @pytest.mark.parametrize("status", STATUSES)
    async def test_a_status_becomes_its_error(self, status: int):
        async with self.troubled(status=status) as contracted:
            error = await self.failure(contracted, STATUSES[status])
            said = msgspec.json.decode(body) if (body := _body(contracted, status)).startswith(b"{") else body.decode()
            self.check_error(error, *(text for text in texts(said) if len(text) > 12))

    async def test_a_rate_limit_says_when_to_ask_again(self):
        async with self.troubled(status=429, retry_after_s=17) as contracted:
            assert (await self.failure(contracted, errors.RateLimited)).retry_after_s == 17

    @pytest.mark.parametrize("knobs", [{"hang": True}, {"delay_s": 0.6}], ids=str)
    async def test_an_answer_that_does_not_come_is_timed_out(self, knobs: dict[str, Any]):
        async with self.troubled(**knobs) as contracted:
            await self.failure(contracted, errors.TimedOut)

    async def test_a_torn_connection_is_unreachable(self):
        async with self.troubled(reset=True) as contracted:
            await self.failure(contracted, errors.Unreachable)

    async def test_an_upstream_that_is_not_there_is_unreachable(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with self.over(self.imitation()) as contracted:
            raw = {**contracted.imitation.settings(url), **self.settings, **IMPATIENT}
            adapter = built(self.provider, contracted.client, raw)
            await self.failure(contracted._replace(adapter=adapter), errors.Unreachable)

    @pytest.mark.parametrize("body", NONSENSE, ids=lambda body: repr(body[:30]))
    async def test_nonsense_is_a_broken_contract(self, body: str):
        async with self.troubled(body=body) as contracted:
            if body in self.empty_bodies:
                assert await listed(contracted.adapter) == []
            else:
                await self.failure(contracted, errors.ContractBroken)

    @pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
    async def test_an_upstream_that_fails_as_a_whole_fails_every_id(self, status: int):
        known = [row[self.id_name] for row in self.imitation().rows()]
        async with self.troubled(only="", status=status) as contracted:
            for wanted in (known[:1], known[:20]):
                try:
                    found = (await contracted.adapter.get_many(dict.fromkeys(wanted, LIST_FIELDS))).by_id
                except AdapterError as error:
                    failed: list[Any] = [error]
                else:
                    assert set(found) == set(wanted)
                    failed = list(found.values())
                for error in failed:
                    assert isinstance(error, STATUSES[status] | errors.CircuitOpen)
                    self.check_error(error)

    @pytest.mark.parametrize("status", [401, 429, 500, 503])
    async def test_an_upstream_that_fails_as_a_whole_fails_the_page(self, status: int):
        async with self.troubled(only="", status=status) as contracted:
            await self.failure(contracted, STATUSES[status])

    async def test_wrong_credentials_are_unauthorized_and_not_repeated_in_the_error(self):
        async with self.over(self.imitation()) as contracted:
            raw = {**contracted.imitation.settings(contracted.url), **self.settings}
            wrong = {key: f"wrong-credential-{value}" for key, value in raw["auth"].items()}
            adapter = built(self.provider, contracted.client, {**raw, "auth": wrong})
            error = await self.failure(contracted._replace(adapter=adapter), errors.Unauthorized)
        self.check_error(error, "wrong-credential")
        assert "wrong-credential" not in repr(vars(adapter))

    async def test_a_failure_does_not_outlast_the_trouble(self):
        async with self.troubled(status=500, times=1) as contracted:
            await self.failure(contracted, errors.UpstreamFault)
            assert len(await listed(contracted.adapter)) == len(contracted.imitation.rows())

    async def test_equal_pages_asked_for_at_once_are_one_call(self):
        async with self.over(self.imitation(), **self.settings) as contracted:
            part = (await contracted.adapter.parts())[0]
            await contracted.adapter.read(List(part))
            contracted.imitation.knobs = Knobs(delay_s=0.05)
            contracted.imitation.journal.clear()
            pages = await asyncio.gather(*(contracted.adapter.read(List(part)) for _ in range(5)))
            assert contracted.imitation.journal.count() == 1
            assert all(page == pages[0] for page in pages)

    # --- rows that are not what they should be ---

    @pytest.mark.parametrize("every", [1, 4, 11])
    async def test_a_malformed_row_costs_that_row_wherever_it_stands(self, every: int):
        spoiled: set[str] = set()

        def spoil(rows: list[Any]) -> list[Any]:
            bad = {row[self.id_name] for row in rows[every - 1 :: every]} if len(rows) > 1 else set[str]()
            spoiled.update(bad)
            return [{**row, self.id_name: None} if row[self.id_name] in bad else row for row in rows]

        async with self.listing(spoil, **self.several) as contracted:
            if every == 1:  # nothing at all can be read: the walk ends all the same
                with contextlib.suppress(errors.ContractBroken):
                    assert await listed(contracted.adapter) == []
                return
            met = native_ids(await listed(contracted.adapter))
            assert len(met) == len(set(met))
            assert set(met) >= self.ids_of(contracted) - spoiled
            assert len(spoiled) > 3

    @pytest.mark.parametrize("junk", UNREADABLE_ROWS, ids=repr)
    async def test_a_malformed_row_is_counted(self, junk: Any):
        spoiled = 0

        def spoil(rows: list[Any]) -> list[Any]:
            nonlocal spoiled
            spoiled += bool(rows)
            return [*rows[:2], junk, *rows[3:]]

        async with self.listing(spoil) as contracted:
            pages = await first_pages(contracted.adapter)
        everything = contracted.imitation.rows()
        assert sum(page.dropped for page in pages) == spoiled > 0
        assert sum(len(page.connections) for page in pages) == len(everything) - spoiled
        assert all(page.next is None for page in pages)

    async def test_a_row_without_a_usable_id_is_dropped(self):
        no_ids: tuple[Any, ...] = ("", None, {}, [])
        for id in no_ids:

            def without(rows: list[Any], id: Any = id) -> list[Any]:
                return [{**row, self.id_name: id} for row in rows[:3]]

            async with self.listing(without) as contracted:
                page = (await first_pages(contracted.adapter))[0]
            assert (page.connections, page.dropped) == ((), 3)

    async def test_a_value_of_the_wrong_kind_costs_that_value_only(self):
        template = max(self.imitation().rows(), key=len)
        spots = [path for path in places(template) if path != (self.id_name,)]
        assert 0 < len(spots) < 100
        # As many rows as there are spots, each with one odd value.
        await self.check_listed_whole(self.numbered([replaced(template, path, odd) for path in spots]) for odd in ODD)

    async def test_a_missing_field_costs_that_field_only(self):
        template = max(self.imitation().rows(), key=len)
        id = {self.id_name: template[self.id_name]}
        lacking = [{key: value for key, value in template.items() if key != name} | id for name in template]
        await self.check_listed_whole([self.numbered([*lacking, id])])

    def numbered(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows, each with an id of its own."""
        return [{**row, self.id_name: row[self.id_name][:-4] + f"{number:04d}"} for number, row in enumerate(rows)]

    async def test_words_nobody_knows_survive(self):
        async with self.listing(lambda rows: [self._worded(row) for row in rows]) as contracted:
            pages = await first_pages(contracted.adapter)
        connections = [row for page in pages for row in page.connections]
        assert connections
        assert all(page.dropped == 0 for page in pages)
        for connection in connections:
            assert connection.status_reason.message
            assert "a_word_nobody_knows" in repr(connection)

    def _worded(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with every text replaced by a word that no version of the upstream has."""

        def worded(value: Any) -> Any:
            if isinstance(value, str):
                return "a_word_nobody_knows"
            if not isinstance(value, dict | list):
                return value
            changed = {key: worded(item) for key, item in inside(value)}
            return changed if isinstance(value, dict) else list(changed.values())

        kept = {key: value for key, value in row.items() if key in (self.id_name, *self.placed_by)}
        return {**worded(row), **kept}

    placed_by: ClassVar[tuple[str, ...]] = ()
    """Members of a row that tell in which list it belongs."""

    async def check_listed_whole(self, answers: Iterable[list[dict[str, Any]]]) -> None:
        """Each of the answers, given in the first list, is a page of all its rows."""
        waiting: list[Any] = []
        async with self.listing(lambda _: waiting.pop() if waiting else []) as contracted:
            part = (await contracted.adapter.parts())[0]
            for rows in answers:
                waiting.append(rows)
                page = await contracted.adapter.read(List(part))
                assert page.dropped == 0
                assert native_ids(page.connections) == [row[self.id_name] for row in rows if self.belongs(row)]
                msgspec.json.encode(page.connections)

    def belongs(self, row: dict[str, Any]) -> bool:
        """Whether the row is listed where it stands."""
        return True


class _Renamed(Rewritten):
    """An app that answers for one id with the record of another."""

    def __init__(self, app: ASGIApp, id: str, other: str) -> None:
        super().__init__(app, "", lambda body: _renamed(body, id, other))


def _renamed(body: Any, id: str, other: str) -> Any:
    return msgspec.json.decode(msgspec.json.encode(body).replace(id.encode(), other.encode()))


def _body(contracted: Contracted, status: int) -> bytes:
    return bytes(contracted.imitation.error_response(status).body)
