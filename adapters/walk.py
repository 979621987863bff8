"""Walking lists that were not made for it: tokens to resume from, guards against lists without an end, and finding
ids in a list where that is cheaper than asking for each.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, NamedTuple, TypeAlias, TypeVar

import msgspec

from adapters.errors import AdapterError, ContractBroken, NotFound, Rejected
from adapters.model import Connection
from adapters.port import Completed, Found, Page

T = TypeVar("T")


class Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a walk resumes: in which part of the instance, after how many of its rows, the last of them, and the
    first row of the page it stood on (an upstream that begins a page like the one before is repeating itself)."""

    part: str = ""
    position: Annotated[int, msgspec.Meta(ge=0)] = 0
    last: str = ""
    first: str = ""

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


class Part(NamedTuple):
    """A page of one part: its rows, a token for each, whether the part goes on after them, how many rows could not be
    read, and the token after all that the upstream sent, which may be more than the rows that are left of it."""

    rows: tuple[Connection, ...]
    tokens: tuple[str, ...]
    more: bool
    dropped: int
    reached: Token


ReadPart: TypeAlias = Callable[[str, Token, int], Awaitable[Part]]
"""Reads a page of one part: its name, the token to go on after, how many rows at the most."""

EMPTY_PAGES = 20
"""So many pages without a single usable row are not read one after the other."""


def token(text: str | None) -> Token | None:
    """The token in ``text``; None for the start. Raises Rejected where it is none."""
    try:
        return None if text is None else msgspec.json.decode(text, type=Token)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise Rejected("not a place in this list") from None


def page(places: Sequence[Connection | None], start: Token, *, more: bool, dropped: int = 0) -> Part:
    """The page that comes right after ``start``: a row at each of its ``places``, None where it is to be left out.

    ``more`` says whether the part goes on. A page that begins as the one before it is that page again: the upstream
    ignores where it was asked to go on, and the part is at its end.
    """
    met: dict[str, tuple[Connection, int]] = {}
    for count, row in enumerate(places, 1):
        if row is not None:
            met.setdefault(row.native_id, (row, count))
    first = next(iter(met), "")
    reached = Token(start.part, start.position + len(places), next(reversed(met), start.last), first or start.first)
    if first and first == start.first:
        return Part((), (), more=False, dropped=dropped, reached=reached)
    tokens = [str(Token(start.part, start.position + count, id, first)) for id, (_, count) in met.items()]
    if tokens:
        tokens[-1] = str(reached)  # unreadable rows at the end are behind whoever goes on
    return Part(tuple(row for row, _ in met.values()), tuple(tokens), more, dropped, reached)


async def through(parts: Sequence[str] | None, after: str | None, limit: int, read: ReadPart) -> Page:
    """A page over an instance whose list has several parts (workspaces, environments), one after the other. Without
    ``parts`` it begins in one called "", and each names the next in what it ``reached``, as cursors do.

    Raises Rejected for a token in a part that is no longer there, ContractBroken where page after page is unreadable.
    """
    start = token(after) or Token(parts[0] if parts else "")
    if parts is not None and start.part not in parts:
        if after is None:
            return Page((), (), more=False)
        raise Rejected("a place in a part of the list that is gone")
    rows: list[Connection] = []
    tokens: list[str] = []
    dropped = empty = 0
    here: Token | None = start
    while here is not None and len(rows) < limit:
        got = await read(here.part, here, limit - len(rows))
        rows += got.rows
        tokens += got.tokens
        dropped += got.dropped
        if got.more and got.rows:
            break
        empty += got.more
        if empty > EMPTY_PAGES or (got.more and got.reached == here):
            raise ContractBroken("page after page of the list holds nothing that can be read")
        here = got.reached if got.more else _next_part(parts, here.part)
        if here is not None and got.rows:
            tokens[-1] = str(here)  # the part is at its end: whoever goes on need not ask it again
    more = here is not None or len(rows) > limit
    return Page(tuple(rows[:limit]), tuple(tokens[:limit]), more, dropped)


def _next_part(parts: Sequence[str] | None, part: str) -> Token | None:
    if parts is None:
        return None
    following = parts.index(part) + 1
    return Token(parts[following]) if following < len(parts) else None


async def find(
    ids: Sequence[str],
    *,
    parts: Sequence[str],
    limit: int,
    read: ReadPart,
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
        asked = (attempt(read(part, Token(part), limit), None, failures) for part in parts)
        pages = [page for page in await asyncio.gather(*asked) if page is not None]
        listed = {row.native_id: row for page in pages for row in page.rows}
        found = {id: listed[id] for id in ids if id in listed}
        if failures:  # a call for each of the others would be many more to an upstream in trouble
            return {**dict.fromkeys(ids, failures[0]), **found}
        if list_is_complete and not any(page.more or page.dropped for page in pages):
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
