"""Walks over lists meet each row once and end, in as few calls as can be; ids are found in the fewest."""

import asyncio
import datetime as dt
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import walk
from adapters.decode import Rows
from adapters.errors import AdapterError, ContractBroken, NotFound, Rejected, TimedOut, Unsupported, UpstreamFault
from adapters.model import Connection, ConnectionStatus, ReasonCode, StatusReason
from adapters.port import Adapter, Completed, Found, List, Page
from adapters.walk import BOUNDLESS, NOTHING_READ, Bounds, Sent, Token, Walked
from tests.adapters.upstream import until

REASON = StatusReason(code=ReasonCode.NO_RUN_YET, message="")
UNREADABLE = ""
PAGE = 3
"""Rows of a page in these tests."""


def row(id: str, name: str = "") -> Connection:
    return Connection(
        id=id,
        instance="acme",
        provider="test",
        native_id=id,
        name=name or None,
        status=ConnectionStatus.UNKNOWN,
        status_reason=REASON,
    )


def as_read(rows: Iterable[Connection | None]) -> Rows[Connection]:
    """Rows as they were read, each with its place for a digest."""
    places = tuple(rows)
    return Rows(places, array("Q", range(len(places))))


class Lists:
    """An upstream with one list for each part, read by offset, whose tokens can be told ahead; an empty text is a row
    that nobody can read. Whatever is being read at the same time is counted."""

    def __init__(self, **parts: Sequence[str]) -> None:
        self.lists = parts
        self.names: dict[str, str] = {}
        self.reads: list[tuple[str, int]] = []
        self.gets: list[str] = []
        self.windows: list[int] = []
        self.is_told_ahead = True
        self._now = 0

    async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
        start = walk.token(after)
        self.reads.append((of.part, start.position))
        assert len(self.reads) < 1000, "the walk does not end"
        await self._together()
        ids = self.ids(of.part, start)
        body = repr([(id, self.names.get(id)) for id in ids]).encode()
        if last is not None and last.digest == body:
            return last
        rows = as_read(row(id, self.names.get(id, "")) if id else None for id in ids)
        follows = Token(start.position + len(ids)) if self.goes_on(of.part, start) else None
        sent = Sent(len(body), body)
        return walk.page(rows, start, follows=follows, sent=sent)

    def ids(self, part: str, start: Token) -> Sequence[str]:
        """What stands in the page at ``start``."""
        return self.lists[part][start.position : start.position + PAGE]

    def goes_on(self, part: str, start: Token) -> bool:
        return start.position + PAGE < len(self.lists[part])

    def ahead(self, token: str, pages: int) -> str | None:
        return str(Token(walk.token(token).position + pages * PAGE)) if self.is_told_ahead else None

    async def get(self, id: str) -> Connection:
        self.gets.append(id)
        if not any(id in ids for ids in self.lists.values()):
            raise NotFound("nobody of this name")
        return row(id)

    async def _together(self) -> None:
        """Take note of how many pages are read at once."""
        if self._now == 0:
            self.windows.append(0)
        self._now += 1
        self.windows[-1] += 1
        await asyncio.sleep(0)
        self._now -= 1


class Circling(Lists):
    """An upstream whose pages are these, again and again from the one of this number on."""

    def __init__(self, pages: Sequence[Sequence[str]], back_to: int) -> None:
        super().__init__(only=[id for page in pages for id in page])
        self._circle = pages
        self._back_to = back_to

    def ids(self, part: str, start: Token) -> Sequence[str]:
        number, length = start.position // PAGE, len(self._circle)
        if number >= length:
            number = self._back_to + (number - self._back_to) % (length - self._back_to)
        return self._circle[number]

    def goes_on(self, part: str, start: Token) -> bool:
        return True


ONLY = List("only")


async def walked(
    lists: Lists, of: List = ONLY, *, first: Page | None = None, last: Walked = NOTHING_READ, bounds: Bounds = BOUNDLESS
) -> Walked:
    """The walk over a list: of an adapter, it takes `read` and `ahead` alone."""
    return await walk.whole(cast("Adapter", lists), of, first=first, last=last, bounds=bounds)


async def whole(lists: Lists, of: List = ONLY) -> list[str]:
    return named((await walked(lists, of)).rows)


def named(rows: Sequence[Connection]) -> list[str]:
    return [connection.native_id for connection in rows]


def numbered(count: int, prefix: str = "r") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


# Tokens


@given(st.builds(Token, position=st.integers(0, walk.MOST_ROWS), cursor=st.text(), first=st.text()))
def test_a_token_is_read_back_as_it_was_written(token: Token):
    assert walk.token(str(token)) == token


def test_no_token_is_the_start():
    assert walk.token(None) == walk.START == Token()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "null",
        "{}",
        '"x"',
        "[",
        '["5"]',
        "[1, 2]",
        "[1.5]",
        '[1, "", "", "more"]',
        "[-1]",
        "[" + "9" * 5000 + "]",
        "[" * 100_000,
        "\x00",
        "\ud800",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_token_is_rejected(text: str):
    with pytest.raises(Rejected):
        walk.token(text)


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_a_token_or_rejected(text: str):
    try:
        assert isinstance(walk.token(text), Token)
    except Rejected:
        return


# Pages


def test_a_page_tells_where_the_one_after_it_begins_and_with_what_it_began_itself():
    rows = as_read([row("a"), None, row("b")])
    page = walk.page(rows, Token(10), follows=Token(13, "b"), sent=Sent(7, b"d"))
    assert page.next is not None
    assert walk.token(page.next) == Token(13, "b", "a")
    assert page == Page((row("a"), row("b")), page.next, 1, 7, b"d", None, array("Q", [0, 2]))


def test_the_last_page_leads_nowhere():
    assert walk.page(as_read([row("a")]), Token(3), follows=None).next is None


def test_a_row_that_comes_twice_in_a_page_is_met_once_as_it_came_first():
    page = walk.page(as_read([row("a", "1"), None, row("b"), row("a", "2")]), Token(), follows=Token(4))
    assert page.connections == (row("a", "1"), row("b"))
    assert list(page.row_digests) == [0, 2], "each connection has the digest of the row that it was made of"


def test_a_page_that_begins_as_the_one_before_ends_the_walk():
    first = walk.page(as_read([row("a"), row("b")]), Token(), follows=Token(2))
    rows = as_read([row("a"), row("b"), None])
    again = walk.page(rows, walk.token(first.next), follows=Token(5), sent=Sent(9, b"d"))
    assert again == Page((), None, 1, 9, b"d")


def test_an_empty_page_goes_on_where_it_is_told_to_and_remembers_what_came_before():
    page = walk.page(as_read([None, None]), Token(5, "", "a"), follows=Token(7))
    assert page.next is not None
    assert (page.connections, page.dropped, walk.token(page.next)) == ((), 2, Token(7, "", "a"))
    assert walk.page(as_read([]), Token(5), follows=None) == Page((), row_digests=array("Q"))


def test_a_page_says_until_when_it_is_good():
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert walk.page(as_read([row("a")]), Token(), follows=None, good_until=moment).good_until == moment


# Walks


@given(st.integers(0, 60), st.booleans())
async def test_a_walk_meets_every_row_once_in_the_order_of_the_list(size: int, is_told_ahead: bool):
    lists = Lists(only=numbered(size))
    lists.is_told_ahead = is_told_ahead
    assert await whole(lists) == numbered(size)


@given(st.lists(st.booleans(), max_size=40))
async def test_rows_that_cannot_be_read_cost_no_other_row_and_are_counted(readable: list[bool]):
    ids = [f"r{number}" if good else UNREADABLE for number, good in enumerate(readable)]
    found = await walked(Lists(only=ids), ONLY)
    assert named(found.rows) == [id for id in ids if id]
    assert found.dropped == ids.count(UNREADABLE)


@given(st.lists(st.integers(0, 30), max_size=40))
async def test_a_row_that_comes_again_anywhere_is_met_once(numbers: list[int]):
    """What is met thrice and more, with nothing new in between, is an end all the same."""
    ids = [f"r{number}" for number in numbers]
    met = await whole(Lists(only=ids))
    assert met == list(dict.fromkeys(ids))[: len(met)]
    if len(set(ids)) == len(ids):
        assert met == ids


async def test_a_walk_reads_one_part_alone():
    lists = Lists(a=numbered(7, "a"), b=numbered(3, "b"))
    assert await whole(lists, List("b")) == numbered(3, "b")
    assert lists.reads == [("b", 0)]


@pytest.mark.parametrize(
    ("pages", "windows"),
    [
        (0, [1]),
        (1, [1]),
        (2, [1, 1]),
        (4, [1, 1, 1, 1]),
        (5, [1, 1, 1, 1, 2]),
        (6, [1, 1, 1, 1, 2]),
        (7, [1, 1, 1, 1, 2, 3]),
        (10, [1, 1, 1, 1, 2, 3, 4]),
        (19, [1, 1, 1, 1, 2, 3, 4, 6]),
        (24, [1, 1, 1, 1, 2, 3, 4, 6, 8]),
        (34, [1, 1, 1, 1, 2, 3, 4, 6, 8, 8]),
    ],
)
async def test_a_list_is_read_in_windows_of_half_of_what_was_read_up_to_eight_pages(pages: int, windows: list[int]):
    lists = Lists(only=numbered(pages * PAGE))
    assert await whole(lists) == numbered(pages * PAGE)
    assert lists.windows == windows, "nothing is read after the end was seen"
    assert [position for _, position in lists.reads] == [PAGE * number for number in range(sum(windows))]


async def test_a_list_that_was_read_before_is_read_abreast_and_no_further_than_it_went():
    lists = Lists(only=numbered(20 * PAGE))
    before = await walk.whole(lists, List("only"))
    lists.windows.clear()
    assert await walk.whole(lists, List("only"), last=before) is before
    assert lists.windows == [1, 8, 8, 3]


@pytest.mark.parametrize("pages", [1, 2, 5, 20])
async def test_a_list_whose_tokens_only_its_pages_tell_is_read_page_by_page_to_its_end(pages: int):
    lists = Lists(only=numbered(pages * PAGE))
    lists.is_told_ahead = False
    assert await whole(lists) == numbered(pages * PAGE)
    assert lists.windows == [1] * pages


async def test_pages_that_come_in_another_order_are_put_in_theirs():
    class Racing(Lists):
        async def _together(self) -> None:
            await asyncio.sleep(0.002 * (-len(self.reads) % 4))

    assert await whole(Racing(only=numbered(50))) == numbered(50)


async def test_a_first_page_that_was_just_read_is_not_read_again():
    lists = Lists(only=numbered(4 * PAGE))
    first = await lists.read(ONLY)
    found = await walked(lists, ONLY, first=first)
    assert (named(found.rows), found.pages[0]) == (numbered(4 * PAGE), first)
    assert [position for _, position in lists.reads].count(0) == 1


async def test_a_first_page_that_is_all_there_is_costs_no_call():
    lists = Lists(only=numbered(2))
    first = await lists.read(ONLY)
    assert named((await walked(lists, ONLY, first=first)).rows) == numbered(2)
    assert len(lists.reads) == 1


async def test_an_error_of_any_page_is_the_error_of_the_walk():
    class Failing(Lists):
        def ids(self, part: str, start: Token) -> Sequence[str]:
            if start.position == 5 * PAGE:
                raise UpstreamFault("broken")
            return super().ids(part, start)

    with pytest.raises(UpstreamFault):
        await whole(Failing(only=numbered(100)))
    assert await whole(Failing(only=numbered(9))) == numbered(9)


async def test_a_walk_given_up_gives_up_what_it_was_reading():
    gone = 0

    class Hanging(Lists):
        async def _together(self) -> None:
            nonlocal gone
            if len(self.reads) > 6:
                try:
                    await asyncio.Event().wait()
                finally:
                    gone += 1

    lists = Hanging(only=numbered(100))
    walking = asyncio.create_task(whole(lists))
    await until(lambda: len(lists.reads) == 9)
    walking.cancel()
    await asyncio.wait([walking])
    assert gone == 3


# Lists without an end


PAGES = {name: [f"{name}{number}" for number in range(PAGE)] for name in "ABC"}


@pytest.mark.parametrize("is_told_ahead", [True, False])
@pytest.mark.parametrize(
    ("pages", "back_to"), [("A", 0), ("AB", 0), ("AB", 1), ("ABC", 0), ("ABC", 1), ("ABC", 2), ("AAB", 0)]
)
async def test_an_upstream_that_goes_round_in_a_circle_is_met_once(pages: str, back_to: int, is_told_ahead: bool):
    lists = Circling([PAGES[name] for name in pages], back_to)
    lists.is_told_ahead = is_told_ahead
    met = await whole(lists)
    assert met == [id for name in dict.fromkeys(pages) for id in PAGES[name]][: len(met)]
    assert len(met) == PAGE * len(set(pages)) or pages == "AAB", "the same page twice in a row is taken for the end"
    assert len(lists.reads) <= 7


@pytest.mark.parametrize("is_told_ahead", [True, False])
@pytest.mark.parametrize("page", [[], [UNREADABLE] * PAGE], ids=["empty", "unreadable"])
async def test_pages_that_hold_nothing_and_never_end_break_the_contract_after_a_few(
    page: list[str], is_told_ahead: bool
):
    for before in ([], [PAGES["A"]], [PAGES["A"], PAGES["B"]]):
        lists = Circling([*before, page], len(before))
        lists.is_told_ahead = is_told_ahead
        with pytest.raises(ContractBroken):
            await whole(lists)
        assert len(lists.reads) <= len(before) + walk.EMPTY_PAGES + walk.ABREAST


async def test_some_pages_that_hold_nothing_are_no_end():
    nothing = [UNREADABLE] * PAGE
    ids = [*PAGES["A"], *nothing * walk.EMPTY_PAGES, *PAGES["B"], *nothing * walk.EMPTY_PAGES, *PAGES["C"]]
    found = await walked(Lists(only=ids), ONLY)
    assert named(found.rows) == [id for page in PAGES.values() for id in page]
    assert found.dropped == 2 * PAGE * walk.EMPTY_PAGES


async def test_a_list_that_does_not_go_on_where_it_says_breaks_the_contract():
    class Standing(Lists):
        async def read(self, of: List, *, after: str | None = None, last: Page | None = None) -> Page:
            await super().read(of, after=after)
            return Page((row(f"r{len(self.reads)}"),), "[7]")

    lists = Standing(only=[])
    with pytest.raises(ContractBroken):
        await whole(lists)
    assert len(lists.reads) <= 3


async def test_pages_that_bring_something_new_for_ever_end_at_the_bounds():
    class Endless(Lists):
        def ids(self, part: str, start: Token) -> Sequence[str]:
            return [f"r{number}" for number in range(start.position, start.position + PAGE)]

        def goes_on(self, part: str, start: Token) -> bool:
            return True

    lists = Endless(only=[])
    with pytest.raises(Unsupported):
        await walked(lists, ONLY, bounds=Bounds(30, 10**9))
    assert len(lists.reads) <= 30 // PAGE + walk.ABREAST


# Bounds


@pytest.mark.parametrize("rows", [20, 21])
async def test_a_list_longer_than_its_bound_of_rows_is_not_held(rows: int):
    lists = Lists(only=numbered(21))
    if rows == 21:
        assert len((await walked(lists, ONLY, bounds=Bounds(rows, 10**9))).rows) == 21
        return
    with pytest.raises(Unsupported):
        await walked(lists, ONLY, bounds=Bounds(rows, 10**9))


async def test_a_list_longer_than_its_bound_of_bytes_is_not_held():
    size_bytes = (await walked(Lists(only=numbered(21)), ONLY)).size_bytes
    assert size_bytes > 21 * 5
    assert await walked(Lists(only=numbered(21)), ONLY, bounds=Bounds(100, size_bytes))
    with pytest.raises(Unsupported):
        await walked(Lists(only=numbered(21)), ONLY, bounds=Bounds(100, size_bytes - 1))


async def test_rows_that_come_twice_count_once_and_what_is_given_at_once_is_bounded_too():
    pages = [Page((row("a"), row("b"))), Page((row("b"), row("c")))]
    assert named(walk.gathered(pages, bounds=Bounds(3, 0)).rows) == ["a", "b", "c"]
    with pytest.raises(Unsupported):
        walk.gathered(pages, bounds=Bounds(2, 0))


# What was read before


async def test_what_has_not_changed_is_the_walk_before():
    lists = Lists(only=numbered(40))
    before = await walked(lists, ONLY)
    assert await walked(lists, ONLY, last=before) is before


Change = Callable[[Lists], None]


def rename(lists: Lists) -> None:
    lists.names["r20"] = "changed"


def vanish(lists: Lists) -> None:
    lists.lists["only"] = [id for id in lists.lists["only"] if id != "r20"]


def appear(lists: Lists) -> None:
    lists.lists["only"] = ["new", *lists.lists["only"]]


def turn(lists: Lists) -> None:
    lists.lists["only"] = lists.lists["only"][::-1]


@pytest.mark.parametrize(("change", "anew"), [(rename, ["r20"]), (vanish, []), (appear, ["new"]), (turn, [])])
async def test_a_row_that_has_not_changed_is_the_object_that_it_was(change: Change, anew: list[str]):
    lists = Lists(only=numbered(40))
    before = await walked(lists, ONLY)
    change(lists)
    after = await walked(lists, ONLY, last=before)
    assert named(after.rows) == lists.lists["only"]
    kept = {row.native_id: row for row in before.rows}
    assert [row.native_id for row in after.rows if row is not kept.get(row.native_id)] == anew
    assert after == await walked(lists, ONLY), "and all is as if it were read for the first time"


async def test_pages_whose_bodies_are_the_same_are_the_pages_that_they_were():
    lists = Lists(only=numbered(40))
    before = await walked(lists, ONLY)
    lists.names["r20"] = "changed"
    after = await walked(lists, ONLY, last=before)
    anew = [number for number, (new, old) in enumerate(zip(after.pages, before.pages, strict=True)) if new is not old]
    assert anew == [20 // PAGE]


def test_a_row_that_two_pages_hold_differently_is_taken_from_the_first_and_each_page_keeps_its_own():
    first, second = Page((row("a", "before"),)), Page((row("a", "after"), row("b")))
    both = walk.gathered([first, second])
    assert both.rows == (row("a", "before"), row("b"))
    later = walk.gathered([Page(()), both.pages[1]], last=both)
    assert later.rows == (row("a", "after"), row("b"))


def test_a_row_that_comes_twice_where_another_one_stood_is_met_once():
    one, two, three = row("a"), row("b"), row("c")
    before = walk.gathered([Page((one, two)), Page((three,))])
    for again in (two, row("b"), row("b", "changed")):
        after = walk.gathered([Page((one, two)), Page((again,))], last=before)
        assert after.rows == (one, two)
        assert after.rows[1] is two
        assert after.pages[1].connections == (again,)
        assert (after.pages[1].connections[0] is two) == (again == two)


async def test_pages_hold_the_objects_that_were_kept():
    lists = Lists(only=numbered(40))
    before = await walked(lists)
    lists.lists["only"] = ["new", *numbered(40)]
    after = await walked(lists, last=before)
    held = {row.native_id: row for page in after.pages for row in page.connections}
    assert held.keys() == {"new", *numbered(40)}
    assert all(held[row.native_id] is row for row in (*before.rows, *after.rows))


def test_a_list_that_became_shorter_has_what_is_left():
    rows = [row(id) for id in numbered(3)]
    before = Walked((Page(tuple(rows[:2])), Page(tuple(rows[2:]))), tuple(rows))
    after = walk.gathered(before.pages[:1], last=before)
    assert named(after.rows) == ["r0", "r1"]
    assert after.rows[0] is rows[0]


# Finding


async def find(lists: Lists, *ids: str, complete: bool = True) -> dict[str, Connection | AdapterError]:
    parts = tuple(lists.lists)
    return dict(await walk.find(ids, parts=parts, read=lists.read, get=lists.get, list_is_complete=complete))


async def test_no_ids_cost_no_call():
    lists = Lists(a=numbered(3))
    assert await find(lists) == {}
    assert (lists.reads, lists.gets) == ([], [])


async def test_as_few_ids_as_parts_are_asked_for_by_themselves():
    lists = Lists(a=numbered(3, "a"), b=numbered(3, "b"))
    assert set(await find(lists, "a1", "b2")) == {"a1", "b2"}
    assert (lists.reads, lists.gets) == ([], ["a1", "b2"])


async def test_more_ids_than_parts_cost_one_list_page_of_each_part():
    lists = Lists(a=numbered(PAGE, "a"), b=numbered(PAGE, "b"))
    wanted = [*numbered(PAGE, "a"), *numbered(PAGE, "b")]
    assert list(await find(lists, *wanted)) == wanted
    assert (len(lists.reads), lists.gets) == (2, [])


async def test_ids_unknown_in_whole_lists_are_absent_and_cost_nothing_more():
    lists = Lists(a=numbered(3))
    assert set(await find(lists, "r0", "nobody")) == {"r0"}
    assert (len(lists.reads), lists.gets) == (1, [])


async def test_ids_not_met_in_a_list_that_goes_on_are_asked_for():
    lists = Lists(a=numbered(10))
    assert set(await find(lists, "r0", "r9", "nobody")) == {"r0", "r9"}
    assert (len(lists.reads), lists.gets) == (1, ["r9", "nobody"])


async def test_ids_that_an_unreadable_row_may_have_hidden_are_asked_for():
    lists = Lists(a=["x", UNREADABLE])
    assert set(await find(lists, "x", "y")) == {"x"}
    assert lists.gets == ["y"]


async def test_ids_missing_from_lists_that_leave_rows_out_are_asked_for():
    lists = Lists(a=numbered(3))
    await find(lists, "r0", "nobody", complete=False)
    assert lists.gets == ["nobody"]


async def test_the_order_of_what_is_found_by_list_is_the_order_asked_for():
    assert list(await find(Lists(a=numbered(3)), "r2", "r0", "r1")) == ["r2", "r0", "r1"]


async def test_an_error_of_one_id_stands_for_that_id_alone():
    broken = TimedOut("no answer")

    async def get(id: str) -> Connection:
        if id == "slow":
            raise broken
        return row(id)

    found = await walk.find(["a", "slow", "b"], parts=("x", "y", "z"), read=Lists().read, get=get)
    assert found == {"a": row("a"), "slow": broken, "b": row("b")}


async def test_ids_are_asked_for_at_the_same_time():
    asked = 0
    all_asked = asyncio.Event()

    async def get(id: str) -> Connection:
        nonlocal asked
        asked += 1
        if asked == 3:
            all_asked.set()
        await all_asked.wait()
        return row(id)

    async with asyncio.timeout(5):
        found = await walk.find(["a", "b", "c"], parts=("x", "y", "z"), read=Lists().read, get=get)
    assert set(found) == {"a", "b", "c"}


async def test_a_list_that_fails_costs_the_ids_that_no_other_holds_and_no_further_call():
    lists = Lists(a=numbered(3, "a"), b=numbered(3, "b"))
    broken = UpstreamFault("broken")

    async def read(of: List) -> Page:
        if of.part == "b":
            raise broken
        return await lists.read(of)

    wanted = ["a0", "b1", "a2"]
    found = await walk.find(wanted, parts=("a", "b"), read=read, get=lists.get)
    assert found == {"a0": row("a0"), "b1": broken, "a2": row("a2")}
    assert lists.gets == []


async def test_an_id_is_known_in_either_case_and_an_answer_about_another_is_none():
    async def get(id: str) -> Connection:
        return row(id.lower() if id != "B" else "c")

    assert await walk.get_one("A", get) == row("a")
    with pytest.raises(ContractBroken) as raised:
        await walk.get_one("B", get)
    assert (raised.value.instance, raised.value.provider) == ("acme", "test")


async def test_what_is_there_is_answered_without_waiting_and_nothing_else_is():
    broken, gate = UpstreamFault("broken"), asyncio.Event()
    ended: list[str] = []

    async def answer(how: str) -> str:
        try:
            if how == "later":
                await gate.wait()
            if how == "raised":
                raise broken
            return how
        finally:
            ended.append(how)

    assert [walk.without_waiting(answer(how)) for how in ("now", "later", "raised")] == ["now", None, None]
    assert ended == ["now", "later", "raised"]


async def test_what_was_found_is_completed_and_what_failed_is_left():
    broken, slow = TimedOut("no answer"), UpstreamFault("broken")

    async def complete(rows: Sequence[Connection]) -> Completed:
        return Completed(tuple(row(one.native_id, "completed") for one in rows), (slow,))

    found = await walk.completed({"a": row("a"), "b": broken, "c": row("c")}, complete)
    assert found == Found({"a": row("a", "completed"), "b": broken, "c": row("c", "completed")}, (slow,))


# What only adds


async def answered() -> str:
    return "answer"


async def failed() -> str:
    raise UpstreamFault("broken")


async def misspelled() -> str:
    raise KeyError("a mistake of ours")


async def test_an_attempt_gives_the_answer_or_notes_the_failure():
    failures: list[AdapterError] = []
    assert await walk.attempt(answered(), "otherwise", failures) == "answer"
    assert failures == []
    assert await walk.attempt(failed(), "otherwise", failures) == "otherwise"
    assert [type(failure) for failure in failures] == [UpstreamFault]


async def test_an_attempt_does_not_hide_a_mistake_of_ours():
    failures: list[AdapterError] = []
    with pytest.raises(KeyError):
        await walk.attempt(misspelled(), "otherwise", failures)
