"""Walking lists that were not made for it: tokens to resume from, guards against lists without an end, and finding
ids in a list where that is cheaper than asking for each.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from adapters.errors import AdapterError, ContractBroken, NotFound, Rejected, Unsupported
from adapters.model import Connection
from adapters.port import Adapter, Completed, Found, List, Page

T = TypeVar("T")


class Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a list goes on: after how many rows, at which cursor of the upstream's own, and the first row of the page
    before (an upstream that begins a page like the one before is repeating itself)."""

    position: Annotated[int, msgspec.Meta(ge=0)] = 0
    cursor: str = ""
    first: str = ""

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


START = Token()
EMPTY_PAGES = 20
"""So many pages without a single usable row are not read one after the other."""
ABREAST = 8
"""Pages that are read at the same time, where their tokens are known before."""


def token(text: str | None) -> Token:
    """The token in ``text``; the start for None. Raises Rejected where it is none."""
    try:
        return START if text is None else msgspec.json.decode(text, type=Token)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise Rejected("not a place in this list") from None


class Sent(NamedTuple):
    """A body as it was sent: its length and what tells it from others."""

    size_bytes: int = 0
    digest: bytes = b""


UNKNOWN = Sent()


def page(
    rows: Sequence[Connection],
    start: Token,
    *,
    follows: Token | None,
    dropped: int = 0,
    sent: Sent = UNKNOWN,
    good_until: dt.datetime | None = None,
) -> Page:
    """The page at ``start``. ``follows`` says where the one after it begins, but for its ``first``.

    A page that begins as the one before it is that page again: the upstream ignores where it was asked to go on, and
    the list is at its end.
    """
    met: dict[str, Connection] = {}
    for row in rows:
        met.setdefault(row.native_id, row)
    first = rows[0].native_id if rows else ""
    if first and first == start.first:
        return Page((), None, dropped, *sent)
    token = follows and str(msgspec.structs.replace(follows, first=first or start.first))
    return Page(tuple(met.values()), token, dropped, *sent, good_until)


class Bounds(NamedTuple):
    """How much one list may hold."""

    rows: int
    size_bytes: int


BOUNDLESS = Bounds(2**62, 2**62)


class Walked(NamedTuple):
    """A list read to its end: its pages in order, and each connection in them once."""

    pages: tuple[Page, ...]
    rows: tuple[Connection, ...]

    @property
    def dropped(self) -> int:
        """Rows that could not be read."""
        return sum(page.dropped for page in self.pages)

    @property
    def size_bytes(self) -> int:
        """The bodies of all pages together."""
        return sum(page.size_bytes for page in self.pages)


NOTHING_READ = Walked((), ())


async def whole(
    adapter: Adapter, of: List, *, first: Page | None = None, last: Walked = NOTHING_READ, bounds: Bounds = BOUNDLESS
) -> Walked:
    """A list read to its end, whatever the upstream does to prevent that. ``first`` is its first page, where that was
    just read; ``last`` the walk before, whose unchanged bodies are not decoded and whose unchanged rows are kept.

    Raises AdapterError, Unsupported where the list is longer than ``bounds``.
    """
    pages: list[Page] = []
    met: set[str] = set()
    empty = 0
    async for page in _pages(adapter, of, first, last):
        known = len(met)
        met.update(row.native_id for row in page.connections)
        pages.append(page)
        _check(len(met), pages, bounds)
        empty = empty + 1 if len(met) == known else 0
        if page.connections and empty:  # rows that were all met before: the upstream goes round in a circle
            break
        if empty > EMPTY_PAGES:
            raise ContractBroken("page after page of the list holds nothing that can be read")
    return gathered(pages, last=last, bounds=bounds)


def gathered(pages: Sequence[Page], *, last: Walked = NOTHING_READ, bounds: Bounds = BOUNDLESS) -> Walked:
    """The pages of a whole list put together: each row once, and as the object it was in the walk before where nothing
    about it has changed. Raises Unsupported where they are more than ``bounds``."""
    if len(pages) == len(last.pages) and all(new is old for new, old in zip(pages, last.pages, strict=True)):
        return last
    met: dict[str, Connection] = {}
    for page in pages:
        for row in page.connections:
            met.setdefault(row.native_id, row)
    _check(len(met), pages, bounds)
    rows = met | {old.native_id: old for old in last.rows if met.get(old.native_id) == old}
    unchanged = set(map(id, last.pages))
    kept = (
        # Pages hold the kept objects too, or each row that was sent again would be in memory twice.
        page
        if id(page) in unchanged
        else page._replace(connections=tuple(_kept(row, met, rows) for row in page.connections))
        for page in pages
    )
    return Walked(tuple(kept), tuple(rows.values()))


def _kept(row: Connection, met: Mapping[str, Connection], rows: Mapping[str, Connection]) -> Connection:
    """The object that stands for the row. It may have changed between two pages that both hold it; only where it was
    met before need that be looked at, which takes long for all rows of a large list."""
    kept = rows[row.native_id]
    return kept if met[row.native_id] is row or kept == row else row


def _check(rows: int, pages: Sequence[Page], bounds: Bounds) -> None:
    if rows > bounds.rows or sum(page.size_bytes for page in pages) > bounds.size_bytes:
        raise Unsupported("the list is longer than this gateway is configured to hold")


async def _pages(adapter: Adapter, of: List, first: Page | None, last: Walked) -> AsyncGenerator[Page]:
    """The pages of a list in order, several at a time where the list is long and their tokens are known before: as many
    as it had the last time, and beyond that half as many as were read, since those after its end are for nothing."""
    before = dict(enumerate(last.pages))
    number = 0
    tokens: list[str | None] = [None]
    while tokens:
        asked = (adapter.read(of, after=token, last=before.get(number + count)) for count, token in enumerate(tokens))
        pages = [first] if number == 0 and first is not None else await asyncio.gather(*asked)
        for page, token in zip(pages, tokens, strict=True):
            number += 1
            yield page
            if page.next is None:
                return
            if page.next == token:
                raise ContractBroken("the list does not go on where it says it does")
        following = pages[-1].next
        assert following is not None  # noqa: S101  the loop before has returned where it is
        known = len(last.pages) - number
        width = min(ABREAST, known if known > 0 else max(1, number // 2))
        ahead = (adapter.ahead(following, count) for count in range(1, width))
        tokens = [following, *(token for token in ahead if token is not None)]


async def find(
    ids: Sequence[str],
    *,
    parts: Sequence[str],
    read: Callable[[List], Awaitable[Page]],
    get: Callable[[str], Awaitable[Connection]],
    list_is_complete: bool = True,
) -> Mapping[str, Connection | AdapterError]:
    """Connections by id in the fewest calls: one list page of each part where there are more ids than parts, then a
    call for each id not met there. Ids unknown upstream are absent.

    ``list_is_complete`` says that an id missing from fully read lists does not exist, so nothing more need be asked.
    """
    found: dict[str, Connection | AdapterError] = {}
    if len(ids) > len(parts):
        failures: list[AdapterError] = []
        asked = (attempt(read(List(part)), None, failures) for part in parts)
        pages = [page for page in await asyncio.gather(*asked) if page is not None]
        listed = {row.native_id: row for page in pages for row in page.connections}
        found = {id: listed[id] for id in ids if id in listed}
        if failures:  # a call for each of the others would be many more to an upstream in trouble
            return {**dict.fromkeys(ids, failures[0]), **found}
        if list_is_complete and not any(page.next or page.dropped for page in pages):
            return found
    return {**found, **await get_each([id for id in ids if id not in found], get)}


async def get_each(
    ids: Sequence[str], get: Callable[[str], Awaitable[Connection]]
) -> dict[str, Connection | AdapterError]:
    """A call for each id, all at once; ids unknown upstream are absent, and one that fails costs only itself."""
    answers = zip(ids, await asyncio.gather(*(_or_error(id, get) for id in ids)), strict=True)
    return {id: answer for id, answer in answers if answer is not None}


async def completed(
    by_id: Mapping[str, Connection | AdapterError],
    complete: Callable[[Sequence[Connection]], Awaitable[Completed]],
) -> Found:
    """The answers with each connection among them completed; errors stay what they are."""
    records = {id: answer for id, answer in by_id.items() if isinstance(answer, Connection)}
    done = await complete(list(records.values()))
    return Found({**by_id, **dict(zip(records, done.connections, strict=True))}, done.failures)


async def attempt(asked: Awaitable[T], otherwise: T, failures: list[AdapterError]) -> T:
    """The answer, or ``otherwise`` with the failure noted: what only adds to rows must not cost them."""
    try:
        return await asked
    except AdapterError as error:
        failures.append(error)
        return otherwise


async def get_one(id: str, get: Callable[[str], Awaitable[Connection]]) -> Connection:
    """The connection of this id. Raises ContractBroken where the upstream answers with another one."""
    record = await get(id)
    if record.native_id.lower() != id.lower():  # UUIDs are the same in either case
        raise ContractBroken(
            "the answer is about another connection", instance=record.instance, provider=record.provider, path="$"
        )
    return record


async def _or_error(id: str, get: Callable[[str], Awaitable[Connection]]) -> Connection | AdapterError | None:
    """The connection, None where the upstream does not know it, or the error itself: one id never costs another."""
    try:
        return await get_one(id, get)
    except NotFound:
        return None
    except AdapterError as error:
        return error
