"""Walks over lists meet each row once and end; ids are found in the fewest calls."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters import walk
from adapters.errors import AdapterError, ContractBroken, NotFound, Rejected, TimedOut, UpstreamFault
from adapters.model import Connection, ConnectionStatus, ReasonCode, StatusReason
from adapters.port import Page
from adapters.walk import Part, Token

REASON = StatusReason(code=ReasonCode.NO_RUN_YET, message="")
UNREADABLE = ""


def row(id: str) -> Connection:
    return Connection(
        id=id, instance="acme", provider="test", native_id=id, status=ConnectionStatus.UNKNOWN, status_reason=REASON
    )


class Lists:
    """An upstream with one list for each part, read by offset; an empty text is a row nobody can read."""

    def __init__(self, **parts: Sequence[str]) -> None:
        self.parts = parts
        self.reads: list[tuple[str, int, int]] = []
        self.gets: list[str] = []

    async def read(self, part: str, start: Token, limit: int) -> Part:
        self.reads.append((part, start.position, limit))
        assert len(self.reads) < 1000, "the walk does not end"
        ids = self.parts[part][start.position : start.position + limit]
        more = start.position + limit < len(self.parts[part])
        return walk.page([row(id) if id else None for id in ids], start, more=more, dropped=ids.count(UNREADABLE))

    async def get(self, id: str) -> Connection:
        self.gets.append(id)
        if not any(id in ids for ids in self.parts.values()):
            raise NotFound("nobody of this name")
        return row(id)

    async def through(self, after: str | None, limit: int) -> Page:
        return await walk.through(tuple(self.parts), after, limit, self.read)

    async def walked(self, limit: int) -> list[str]:
        """The ids that a client meets who reads page by page to the end."""
        met: list[str] = []
        after: str | None = None
        while True:
            page = await self.through(after, limit)
            assert len(page.connections) == len(page.tokens) <= limit
            met += [connection.native_id for connection in page.connections]
            if not page.more or not page.tokens:
                return met
            after = page.tokens[-1]


def named(page: Page | Part) -> list[str]:
    rows = page.rows if isinstance(page, Part) else page.connections
    return [connection.native_id for connection in rows]


def numbered(count: int, prefix: str = "r") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


# Tokens


@given(st.builds(Token, part=st.text(), position=st.integers(0, 2**60), last=st.text(), first=st.text()))
def test_a_token_is_read_back_as_it_was_written(token: Token):
    assert walk.token(str(token)) == token


def test_no_token_is_the_start():
    assert walk.token(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "null",
        "{}",
        '"x"',
        "[",
        "[5]",
        '["", "x"]',
        '["", 1.5]',
        '["", 1, "", "", "more"]',
        '["", -1, "", ""]',
        '["", ' + "9" * 5000 + "]",
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


def test_a_page_has_a_token_for_each_row_to_resume_right_after_it():
    page = walk.page([row("a"), row("b")], Token("part", 10), more=True)
    assert [walk.token(text) for text in page.tokens] == [Token("part", 11, "a", "a"), Token("part", 12, "b", "a")]
    assert (page.more, page.dropped) == (True, 0)


def test_a_row_that_comes_twice_in_a_page_is_met_once():
    page = walk.page([row("a"), row("b"), row("a")], Token(), more=True)
    assert named(page) == ["a", "b"]
    assert len(page.tokens) == 2


def test_a_page_that_begins_as_the_one_before_ends_the_walk():
    first = walk.page([row("a"), row("b")], Token(), more=True)
    again = walk.page([row("a"), row("b")], walk.token(first.tokens[-1]) or Token(), more=True)
    assert (again.rows, again.tokens, again.more) == ((), (), False)


def test_an_empty_page_is_empty():
    start = Token("x", 5, "a", "a")
    assert walk.page([], start, more=False) == Part((), (), more=False, dropped=0, reached=start)


def test_a_page_that_nobody_can_read_says_how_far_it_reached():
    page = walk.page([None, None], Token("x", 5, "a", "a"), more=True, dropped=2)
    assert page == Part((), (), more=True, dropped=2, reached=Token("x", 7, "a", "a"))


def test_unreadable_rows_at_the_end_of_a_page_are_behind_its_last_token():
    page = walk.page([row("a"), None, row("b"), None], Token(), more=True, dropped=1)
    assert [walk.token(text) for text in page.tokens] == [Token("", 1, "a", "a"), Token("", 4, "b", "a")]


# Walks


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.integers(1, 9))
async def test_a_walk_in_pages_of_any_size_meets_every_row_of_every_part_once(sizes: list[int], limit: int):
    parts = {f"p{number}": numbered(size, f"p{number}-") for number, size in enumerate(sizes)}
    assert await Lists(**parts).walked(limit) == [id for ids in parts.values() for id in ids]


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 6))
@example([True, False, True, True, True], 3)
@example([True, False, True], 1)
@example([False, False, True], 2)
async def test_rows_that_cannot_be_read_cost_no_other_row_and_bring_none_twice(readable: list[bool], limit: int):
    ids = [f"r{number}" if good else UNREADABLE for number, good in enumerate(readable)]
    assert await Lists(only=ids).walked(limit) == [id for id in ids if id]


@given(st.integers(2, 5), st.integers(0, 4))
async def test_a_row_repeated_in_a_page_brings_no_other_row_twice(limit: int, at: int):
    ids = numbered(10)
    ids.insert(at, ids[at])  # side by side; a repetition across pages is the upstream's own
    met = await Lists(only=ids).walked(limit)
    if (at + 1) % limit:
        assert met == numbered(10)


async def test_every_token_resumes_right_after_its_row():
    lists = Lists(a=numbered(5, "a"), b=numbered(4, "b"))
    page = await lists.through(None, 100)
    everything = named(page)
    for place, after in enumerate(page.tokens, 1):
        assert named(await lists.through(after, 100)) == everything[place:]


async def test_a_page_costs_one_call_and_goes_on_in_the_next_part_only_while_there_is_room():
    lists = Lists(a=numbered(3, "a"), b=numbered(3, "b"), c=numbered(3, "c"))
    page = await lists.through(None, 2)
    assert (named(page), lists.reads) == (["a0", "a1"], [("a", 0, 2)])
    lists.reads.clear()
    page = await lists.through(page.tokens[-1], 3)
    assert (named(page), page.more) == (["a2", "b0", "b1"], True)
    assert lists.reads == [("a", 2, 3), ("b", 0, 2)]


async def test_a_part_read_to_its_end_is_not_asked_again():
    lists = Lists(a=numbered(2, "a"), b=numbered(2, "b"))
    page = await lists.through(None, 2)
    lists.reads.clear()
    assert named(await lists.through(page.tokens[-1], 2)) == ["b0", "b1"]
    assert lists.reads == [("b", 0, 2)]


async def test_the_last_page_says_that_nothing_follows():
    page = await Lists(a=numbered(2, "a"), b=[]).through(None, 5)
    assert (named(page), page.more) == (["a0", "a1"], False)


async def test_empty_parts_and_no_parts_are_empty():
    assert await Lists(a=[], b=[]).through(None, 5) == Page((), (), more=False)
    assert await Lists().through(None, 5) == Page((), (), more=False)


async def test_unreadable_rows_of_all_parts_are_counted():
    assert (await Lists(a=["x", UNREADABLE], b=[UNREADABLE, "y"]).through(None, 10)).dropped == 2


async def test_a_token_in_a_part_that_is_gone_is_rejected():
    page = await Lists(a=["x"], b=["y"]).through(None, 1)
    for remaining in (Lists(a=["x"]), Lists()):
        with pytest.raises(Rejected):
            await remaining.through(page.tokens[-1], 1)


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_an_upstream_that_always_gives_its_first_page_is_met_once(limit: int):
    lists = Lists(only=numbered(7))

    async def read(part: str, start: Token, limit: int) -> Part:
        lists.reads.append((part, start.position, limit))
        return walk.page([row(id) for id in lists.parts[part][:limit]], start, more=True)

    met: list[str] = []
    after: str | None = None
    while True:
        assert len(lists.reads) < 20, "the walk does not end"
        page = await walk.through(("only",), after, limit, read)
        met += named(page)
        if not page.tokens:
            break
        after = page.tokens[-1]
    assert met == numbered(limit)
    assert not page.more


async def test_an_upstream_that_says_more_and_gives_nothing_breaks_the_contract_after_a_few_calls():
    calls = 0

    async def read(_: str, start: Token, __: int) -> Part:
        nonlocal calls
        calls += 1
        return walk.page([], start, more=True)

    with pytest.raises(ContractBroken):
        await walk.through(("a", "b"), None, 5, read)
    assert calls <= walk.EMPTY_PAGES + 1


async def test_a_list_nobody_can_read_breaks_the_contract_after_a_few_calls():
    lists = Lists(only=[UNREADABLE] * 1000)
    with pytest.raises(ContractBroken):
        await lists.through(None, 5)
    assert len(lists.reads) <= walk.EMPTY_PAGES + 1


async def test_an_upstream_that_gives_more_than_it_was_asked_for_does_not_break_the_limit():
    lists = Lists(only=numbered(7))

    async def read(part: str, start: Token, _: int) -> Part:
        return walk.page([row(id) for id in lists.parts[part][start.position :]], start, more=False)

    page = await walk.through(("only",), None, 3, read)
    assert named(page) == numbered(3)
    assert page.more
    assert named(await walk.through(("only",), page.tokens[-1], 3, read)) == ["r3", "r4", "r5"]


async def test_an_error_of_a_read_is_the_error_of_the_page():
    async def read(_: str, __: Token, ___: int) -> Part:
        raise UpstreamFault("broken")

    with pytest.raises(UpstreamFault):
        await walk.through(("a",), None, 5, read)


# Finding


async def find(
    lists: Lists, *ids: str, limit: int = 100, complete: bool = True
) -> dict[str, Connection | AdapterError]:
    found = await walk.find(
        ids, parts=tuple(lists.parts), limit=limit, read=lists.read, get=lists.get, list_is_complete=complete
    )
    return dict(found)


async def test_no_ids_cost_no_call():
    lists = Lists(a=numbered(3))
    assert await find(lists) == {}
    assert (lists.reads, lists.gets) == ([], [])


async def test_as_few_ids_as_parts_are_asked_for_by_themselves():
    lists = Lists(a=numbered(3, "a"), b=numbered(3, "b"))
    assert set(await find(lists, "a1", "b2")) == {"a1", "b2"}
    assert (lists.reads, lists.gets) == ([], ["a1", "b2"])


async def test_more_ids_than_parts_cost_one_list_page_of_each_part():
    lists = Lists(a=numbered(50, "a"), b=numbered(50, "b"))
    wanted = [*numbered(40, "a"), *numbered(40, "b")]
    assert list(await find(lists, *wanted)) == wanted
    assert (len(lists.reads), lists.gets) == (2, [])


async def test_ids_unknown_in_whole_lists_are_absent_and_cost_nothing_more():
    lists = Lists(a=numbered(3))
    assert set(await find(lists, "r0", "nobody")) == {"r0"}
    assert (len(lists.reads), lists.gets) == (1, [])


async def test_ids_not_met_in_a_list_that_goes_on_are_asked_for():
    lists = Lists(a=numbered(10))
    assert set(await find(lists, "r0", "r9", "nobody", limit=5)) == {"r0", "r9"}
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
    assert list(await find(Lists(a=numbered(5)), "r4", "r0", "r2")) == ["r4", "r0", "r2"]


async def test_an_error_of_one_id_stands_for_that_id_alone():
    broken = TimedOut("no answer")

    async def get(id: str) -> Connection:
        if id == "slow":
            raise broken
        return row(id)

    found = await walk.find(["a", "slow", "b"], parts=("x", "y", "z"), limit=5, read=Lists().read, get=get)
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
        found = await walk.find(["a", "b", "c"], parts=("x", "y", "z"), limit=5, read=Lists().read, get=get)
    assert set(found) == {"a", "b", "c"}


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
