"""Walking lists that were not made for it: tokens to resume from, guards against lists without an end, and finding
ids in a list where that is cheaper than asking for each.
"""

import asyncio
import datetime as dt
import itertools
import operator
from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Self, TypeVar

import msgspec

from adapters import decode, digests
from adapters.decode import Rows
from adapters.digests import Part
from adapters.errors import AdapterError, ContractBroken, NotFound, Rejected, Unsupported
from adapters.model import Connection
from adapters.port import Adapter, Completed, Found, List, Page, Reader

T = TypeVar("T")


MOST_ROWS = 10_000_000
"""More than any list has. Clients hold tokens, and no upstream is to be asked for what none of them can have met."""
LONGEST = 16_384
"""Letters of an upstream's own cursor; likewise."""


class Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a list goes on: after how many rows, at which cursor of the upstream's own, and the first row of the page
    before (an upstream that begins a page like the one before is repeating itself)."""

    position: Annotated[int, msgspec.Meta(ge=0, le=MOST_ROWS)] = 0
    cursor: Annotated[str, msgspec.Meta(max_length=LONGEST)] = ""
    first: Annotated[str, msgspec.Meta(max_length=LONGEST)] = ""

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

    @classmethod
    def of(cls, body: bytes) -> Self:
        """That of a body."""
        return cls(len(body), digests.of_body(body))


UNKNOWN = Sent()


class Before(NamedTuple):
    """The page that was read at a place before, and how a connection is ``made`` of a wire record that has changed.
    What else connections are made of must be as it was then."""

    page: Page | None = None
    made: Callable[[Any], Connection] | None = None

    def renewed(self, body: bytes, kind: type[Any]) -> Page | None:
        """The page of a body, where little is to be read for it: the one before, or that one with the few rows that
        have changed, records of ``kind``. None where there is more to it."""
        was = self.page
        if was is None:
            return None
        if was.digest and was.digest == digests.of_body(body):
            return was
        changed = None if was.layout is None else was.layout.changed(body)
        if changed is None:
            return None
        if not changed.rows:
            return was._replace(**Sent.of(body)._asdict())
        connections = self._with(changed.rows, kind)
        if connections is None:
            return None
        # What has changed changes again, as a rule: nothing more is found out of this body.
        layout = changed.layout
        return Page(connections, was.next, was.dropped, len(body), b"", was.good_until, layout.digests, layout)

    @property
    def known(self) -> Mapping[int, Connection]:
        """The connections of the page by what tells their rows apart."""
        page = self.page
        return {} if page is None else dict(zip(page.row_digests, page.connections, strict=False))

    def _with(self, changed: Mapping[int, Part], kind: type[Any]) -> tuple[Connection, ...] | None:
        """The connections of the page with those that have changed. None where a row cannot simply be read, or does
        not belong at this place of this list any more."""
        assert self.page is not None  # noqa: S101
        assert self.made is not None  # noqa: S101
        connections = list(self.page.connections)
        for place, item in changed.items():
            record, was = decode.row(item, kind), connections[place]
            if record is None:
                return None
            now = connections[place] = self.made(record)
            if (now.native_id, now.workspace_id, now.environment) != (was.native_id, was.workspace_id, was.environment):
                return None
        return tuple(connections)


NOTHING_BEFORE = Before()


def unified(rows: Rows[T | Connection], made: Callable[[T], Connection]) -> Rows[Connection]:
    """Rows with each wire record as the connection ``made`` of it; what is one already stays it."""
    places = [row if row is None or isinstance(row, Connection) else made(row) for row in rows.places]
    return Rows(tuple(places), rows.digests, rows.layout)


def page(
    rows: Rows[Connection],
    start: Token,
    *,
    follows: Token | None,
    sent: Sent = UNKNOWN,
    good_until: dt.datetime | None = None,
) -> Page:
    """The page at ``start``. ``follows`` says where the one after it begins, but for its ``first``.

    A page that begins as the one before it is that page again: the upstream ignores where it was asked to go on, and
    the list is at its end.
    """
    connections, row_digests = rows.rows, rows.digests
    dropped = len(rows.places) - len(connections)
    first = connections[0].native_id if connections else ""
    if first and first == start.first:
        return Page((), None, dropped, *sent)
    if len({row.native_id for row in connections}) < len(rows.places):
        first_at = {row.native_id: place for place, row in reversed([*enumerate(rows.places)]) if row is not None}
        is_first = [row is not None and first_at[row.native_id] == place for place, row in enumerate(rows.places)]
        connections = tuple([row for row in itertools.compress(rows.places, is_first) if row is not None])
        row_digests = array("Q", itertools.compress(row_digests, is_first))
    token = follows and str(msgspec.structs.replace(follows, first=first or start.first))
    layout = rows.layout if len(connections) == len(rows.places) else None
    return Page(connections, token, dropped, *sent, good_until, row_digests, layout)


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
    empty = size_bytes = 0
    async for page in _pages(adapter, of, first, last):
        known = len(met)
        met.update([row.native_id for row in page.connections])
        pages.append(page)
        size_bytes += page.size_bytes
        _check(len(met), size_bytes, bounds)
        empty = empty + 1 if len(met) == known else 0
        if page.connections and empty:  # rows that were all met before: the upstream goes round in a circle
            break
        if empty > EMPTY_PAGES:
            raise ContractBroken("page after page of the list holds nothing that can be read")
    return gathered(pages, last=last, bounds=bounds)


def gathered(pages: Sequence[Page], *, last: Walked = NOTHING_READ, bounds: Bounds = BOUNDLESS) -> Walked:
    """The pages of a whole list put together: each row once, and as the object it was in the walk before where nothing
    about it has changed. Raises Unsupported where they are more than ``bounds``."""
    if len(pages) == len(last.pages) and all(map(operator.is_, pages, last.pages)):
        return last
    sent = pages[0].connections if len(pages) == 1 else tuple([row for page in pages for row in page.connections])
    # Most rows of a long list are the objects that they were, and not even looked at.
    moved = differing(sent, last.rows)
    came, stood = [sent[at] for at in moved], [last.rows[at] for at in moved]
    if len(sent) == len(last.rows) and [row.native_id for row in came] == [row.native_id for row in stood]:
        rows = sent
    else:
        rows = _each_once(sent)
        came, stood = _met_before(rows, last.rows)
    _check(len(rows), sum([page.size_bytes for page in pages]), bounds)
    kept = {id(row): old for row, old in zip(came, stood, strict=True) if old == row}
    if len(rows) < len(sent):
        kept |= _again(sent, {row.native_id: kept.get(id(row), row) for row in rows})
    if not kept:
        return Walked(tuple(pages), rows)
    unchanged = set(map(id, last.pages))
    of = tuple(page if id(page) in unchanged else _with(kept, page) for page in pages)
    return Walked(of, tuple(kept.get(id(row), row) for row in rows))


def differing(rows: Sequence[Connection], before: Sequence[Connection]) -> list[int]:
    """The places at which rows are other objects than those of before, as far as there are both."""
    return list(itertools.compress(itertools.count(), map(operator.is_not, rows, before)))


def _each_once(sent: Sequence[Connection]) -> tuple[Connection, ...]:
    """The rows, each as it came first."""
    met: dict[str, Connection] = {row.native_id: row for row in sent}
    if len(met) < len(sent):
        met.update({row.native_id: row for row in reversed(sent)})  # which leaves the order of keys as it is
    return tuple(met.values())


def _met_before(rows: Sequence[Connection], before: Sequence[Connection]) -> tuple[list[Connection], list[Connection]]:
    """The rows that are other objects than before, and those that they were."""
    if not before:
        return [], []
    stayed = set(map(id, before)).intersection(map(id, rows))
    anew = {row.native_id: row for row in rows if id(row) not in stayed}
    stood = [row for row in before if id(row) not in stayed and row.native_id in anew]
    return [anew[row.native_id] for row in stood], stood


def _again(sent: Sequence[Connection], kept: Mapping[str, Connection]) -> dict[int, Connection]:
    """What was met before in the same list, by the ``id`` of the equal rows that came again."""
    return {id(row): old for row in sent if (old := kept[row.native_id]) is not row and old == row}


def _with(kept: Mapping[int, Connection], page: Page) -> Page:
    """The page with what is kept, or each row that was sent again would be in memory twice."""
    if kept.keys().isdisjoint(map(id, page.connections)):
        return page
    return page._replace(connections=tuple(kept.get(id(row), row) for row in page.connections))


def _check(rows: int, size_bytes: int, bounds: Bounds) -> None:
    if rows > bounds.rows or size_bytes > bounds.size_bytes:
        raise Unsupported("the list is longer than this gateway is configured to hold")


async def _pages(adapter: Adapter, of: List, first: Page | None, last: Walked) -> AsyncGenerator[Page]:
    """The pages of a list in order, several at a time where the list is long and their tokens are known before: as many
    as it had the last time, and beyond that half as many as were read, since those after its end are for nothing."""
    before = dict(enumerate(last.pages))
    number = 0
    tokens: list[str | None] = [None]
    while tokens:
        if number == 0 and first is not None:
            pages: Sequence[Page] = [first]
        else:
            pages = await together(
                [adapter.read(of, after=token, last=before.get(number + at)) for at, token in enumerate(tokens)]
            )
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
    read: Reader,
    get: Callable[[str], Awaitable[Connection]],
    list_is_complete: bool = True,
) -> Mapping[str, Connection | AdapterError]:
    """Connections by id in the fewest calls: one list page of each part where there are more ids than parts, then a
    call for each id not met there. Ids unknown upstream are absent.

    ``list_is_complete`` says that an id missing from fully read lists does not exist, so nothing more need be asked.
    """
    if len(ids) <= len(parts):
        return await get_each(ids, get)
    failures: list[AdapterError] = []
    asked = [attempt(read(List(part)), None, failures) for part in parts]
    pages = [page for page in await together(asked) if page is not None]
    wanted = set(ids)
    listed = {row.native_id: row for page in pages for row in page.connections if row.native_id in wanted}
    found: dict[str, Connection | AdapterError] = {id: listed[id] for id in ids if id in listed}
    if failures:  # a call for each of the others would be many more to an upstream in trouble
        return {**dict.fromkeys(ids, failures[0]), **found}
    if len(found) == len(wanted) or (list_is_complete and not any(page.next or page.dropped for page in pages)):
        return found
    return {**found, **await get_each([id for id in ids if id not in found], get)}


async def get_each(
    ids: Sequence[str], get: Callable[[str], Awaitable[Connection]]
) -> dict[str, Connection | AdapterError]:
    """A call for each id, all at once; ids unknown upstream are absent, and one that fails costs only itself."""
    answers = await together([_or_error(id, get) for id in ids])
    return {id: answer for id, answer in zip(ids, answers, strict=True) if answer is not None}


async def together(asked: Sequence[Awaitable[T]]) -> Sequence[T]:
    """The answers to all, asked at the same time; where one fails, the others are given up. There is one as a rule,
    which takes no task of its own."""
    if len(asked) == 1:
        return [await asked[0]]
    tasks = [asyncio.ensure_future(each) for each in asked]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def completed(
    by_id: Mapping[str, Connection | AdapterError],
    complete: Callable[[Sequence[Connection]], Awaitable[Completed]],
    *,
    lacks: bool = True,
) -> Found:
    """The answers with each connection among them completed, if it ``lacks`` anything; errors stay what they are."""
    if not lacks:
        return Found(by_id)
    records = {id: answer for id, answer in by_id.items() if isinstance(answer, Connection)}
    if not records:
        return Found(by_id)
    done = await complete(tuple(records.values()))
    return Found({**by_id, **dict(zip(records, done.connections, strict=True))}, done.failures)


def without_waiting(asked: Coroutine[Any, Any, T]) -> T | None:
    """The answer, where it is there without waiting for anything; None for all others. What was begun for it goes on,
    for whoever asks once more."""
    try:
        asked.send(None)
    except StopIteration as done:
        return done.value
    except Exception:  # noqa: BLE001  whatever it is, who waits meets it again
        return None
    asked.close()
    return None


async def attempt(asked: Awaitable[T], otherwise: T, failures: list[AdapterError]) -> T:
    """The answer, or ``otherwise`` with the failure noted: what only adds to rows must not cost them."""
    try:
        return await asked
    except AdapterError as error:
        failures.append(error)
        return otherwise


async def get_one(id: str, get: Callable[[str], Awaitable[Connection]]) -> Connection:
    """The connection of this id. Raises ContractBroken where the upstream answers with another one."""
    return proven(await get(id), id)


def proven(record: Connection, id: str) -> Connection:
    """The connection that was asked for by this id. Raises ContractBroken where it is another one."""
    if record.native_id != id and record.native_id.lower() != id.lower():  # UUIDs are the same in either case
        raise ContractBroken(
            "the answer is about another connection", instance=record.instance, provider=record.provider, path="$"
        )
    return record


async def _or_error(id: str, get: Callable[[str], Awaitable[Connection]]) -> Connection | AdapterError | None:
    """The connection, None where the upstream does not know it, or the error itself: one id never costs another."""
    try:
        return proven(await get(id), id)
    except NotFound:
        return None
    except AdapterError as error:
        return error
