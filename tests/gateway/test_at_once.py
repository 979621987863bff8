"""What an app answers at once, and what it has under way without a task that waits for it: nothing is begun for either,
and what else comes over the socket waits for its turn.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

import pytest
from starlette.types import Scope

from adapters.imitation import serve
from gateway import protocol
from gateway.protocol import Head, Spoken, Whole, direct
from tests.adapters.upstream import until
from tests.gateway.garbage import collecting
from tests.gateway.sockets import LINES, Client, Echo, connected, keep_for, over

# Answers that are known


class Knowing(Echo):
    """Knows the answer to what asks for it; ``asked`` are the requests of which it was asked whether it does."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, bytes]] = []

    def at_once(self, head: Head, body: bytes) -> tuple[bytes, bytes] | None:
        self.asked.append((head.fields[b"x-own"], body))
        return (LINES, b"known " + body) if body.startswith(b"known") else None


async def test_a_known_answer_is_given_without_the_app(heads: dict[bytes, Any]):
    app = Knowing()
    async with over(app) as client:
        for body in (b"known1", b"known2", b"other1", b"known3"):
            client.send(body, head="x-own: 1\r\n")
            answer = await client.answer()
            is_known = app.asked != [] and body.startswith(b"known")
            assert (answer.status, answer.body) == (200, b"known " + body if is_known else body)
            assert answer.headers["x-own"] == "yes"
            assert answer.headers["date"].endswith("GMT")
    assert app.asked == [(b"1", b"known2"), (b"1", b"other1"), (b"1", b"known3")]
    assert len(app.ways) == 2


async def test_known_answers_come_in_their_turn(heads: dict[bytes, Any]):
    app = Knowing()
    async with over(app) as client:
        client.send(b"known0", head="x-own: 1\r\n")
        await client.answer()
        for number in range(1, 9):
            client.send(b"known%d" % number, head="x-own: 1\r\n")
        assert [(await client.answer()).body[-1:] for _ in range(8)] == [b"%d" % number for number in range(1, 9)]


async def test_who_reads_nothing_of_known_answers_is_given_no_more_of_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "_UNREAD_S", 0.1)

    class Long(Knowing):
        def at_once(self, head: Head, body: bytes) -> tuple[bytes, bytes] | None:
            self.asked.append((b"", body))
            return LINES, b"x" * 1_000_000

    app = Long()
    async with over(app, is_small=True) as client:
        client.send(b"body")
        await client.answer()
        for _ in range(200):
            client.send(b"body")
            await asyncio.sleep(0.002)
            if client.is_closed:
                break
        assert len(app.asked) < 20
        await asyncio.sleep(0.5)
        assert not await client.is_left() or client.is_closed


async def test_a_socket_is_kept_after_a_known_answer_as_after_any(monkeypatch: pytest.MonkeyPatch):
    keep_for(monkeypatch, 0.2)
    app = Knowing()
    async with over(app) as client:
        for _ in range(4):
            client.send(b"known", head="x-own: 1\r\n")
            await client.answer()
            await asyncio.sleep(0.1)
        assert not client.is_closed
        assert await client.is_left() == b""
    assert len(app.asked) == 3


async def test_each_app_of_a_process_knows_its_own_heads():
    one, other = Knowing(), Knowing()
    async with over(one) as asking, over(other) as asking_other:
        for client in (asking, asking, asking_other):
            client.send(b"known", head="x-own: 1\r\n")
            await client.answer()
    assert (len(one.asked), len(other.asked)) == (1, 0)


async def test_where_another_server_serves_nothing_is_done_at_once():
    assert direct({"type": "http"}) is None
    assert direct({"type": "http", "extensions": {"http.response.push": {}}}) is None


# Answers that are under way


class Under:
    """An answer that is under way until a test says what becomes of it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.is_given_up = False
        self._done: Callable[[Whole | None], None] | None = None

    def then(self, done: Callable[[Whole | None], None]) -> None:
        self._done = done

    def give_up(self) -> None:
        self.is_given_up = True

    def end(self, answer: bytes | None) -> None:
        assert self._done is not None
        self._done(None if answer is None else (LINES, answer))


class Slowly(Echo):
    """An app that has answers under way for requests whose heads are known, but for those that say ``called``."""

    def __init__(self) -> None:
        super().__init__()
        self.under: list[Under] = []
        self.called: list[tuple[bytes, object]] = []
        """The bodies that the app was called with, and what was under way for them before."""

    def at_once(self, head: Head, body: bytes) -> Under | None:
        if body == b"called":
            return None
        self.under.append(Under(body))
        return self.under[-1]

    def answer_to(self, scope: Scope, body: bytes) -> bytes:
        at_once = direct(scope)
        assert at_once is not None
        self.called.append((body, at_once.left(scope)))
        return b"called with " + body

    async def latest(self, count: int) -> Under:
        """What is under way, once so much was begun."""
        await until(lambda: len(self.under) == count)
        return self.under[-1]


async def met(app: Slowly, client: Client) -> None:
    """Have the server know the head of requests with a body of six bytes."""
    client.send(b"called")
    assert (await client.answer()).body == b"called with called"
    app.called.clear()


class Waiting(NamedTuple):
    """A client that waits for an answer that is under way."""

    app: Slowly
    client: Client
    under: Under


@contextlib.asynccontextmanager
async def waiting(body: bytes = b"number") -> AsyncGenerator[Waiting]:
    """One whose request has this body."""
    app = Slowly()
    async with over(app) as client:
        await met(app, client)
        client.send(body)
        yield Waiting(app, client, await app.latest(1))


async def test_an_answer_that_comes_later_is_sent_when_it_is_there():
    app = Slowly()
    async with over(app) as client:
        await met(app, client)
        for number in range(3):
            client.send(b"number")
            under = await app.latest(number + 1)
            assert under.body == b"number"
            under.end(b"%d" % number)
            answer = await client.answer()
            assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/plain", b"%d" % number)
    assert app.called == []


async def test_where_there_is_none_the_app_is_called_and_told_what_was_under_way():
    async with waiting() as (app, client, under):
        under.end(None)
        assert (await client.answer()).body == b"called with number"
        assert app.called == [(b"number", under)]
        client.send(b"called")
        assert (await client.answer()).body == b"called with called"
    assert app.called[1:] == [(b"called", None)]


async def test_what_is_sent_meanwhile_waits_for_its_turn():
    async with waiting(b"first ") as (app, client, under):
        for body in (b"second", b"called", b"third ", b"longer than that"):
            client.send(body)
            await asyncio.sleep(0.005)
        assert (len(app.under), app.called) == (1, [])
        under.end(b"1")
        assert (await client.answer()).body == b"1"
        for body in (b"second", b"called", b"third ", b"longer than that"):
            if len(app.under) > 1 and app.under[-1].body == body:
                app.under[-1].end(None)
            assert (await client.answer()).body == b"called with " + body


async def test_one_that_is_sent_meanwhile_may_be_under_way_next():
    async with waiting(b"first ") as (app, client, under):
        client.send(b"second")
        await asyncio.sleep(0.01)
        under.end(b"1")
        second = await app.latest(2)
        assert second.body == b"second"
        second.end(b"2")
        assert [(await client.answer()).body for _ in range(2)] == [b"1", b"2"]


async def test_the_app_called_in_the_end_is_answered_before_what_was_sent_meanwhile():
    async with waiting(b"first ") as (app, client, under):
        client.send(b"called")
        await asyncio.sleep(0.01)
        under.end(None)
        assert [(await client.answer()).body for _ in range(2)] == [b"called with first ", b"called with called"]
    assert app.called == [(b"first ", under), (b"called", None)]


async def test_a_client_that_leaves_is_told_nothing():
    async with waiting() as (app, client, under):
        client.writer.close()
        await until(lambda: under.is_given_up)
        under.end(b"nobody reads this")
    assert app.called == []


async def test_where_a_server_ends_the_app_is_called_for_what_is_under_way_and_what_came_after_it():
    app = Slowly()
    async with serve(app, http=Spoken) as url:
        client = await connected(url)
        await met(app, client)
        client.send(b"number")
        under = await app.latest(1)
        client.send(b"second")
        await asyncio.sleep(0.01)
    assert app.called == [(b"number", under), (b"second", None)]
    answers = [await client.answer() for _ in range(2)]
    assert [answer.body for answer in answers] == [b"called with number", b"called with second"]
    assert answers[1].headers["connection"] == "close"
    assert await client.is_left() == b""
    under.end(b"nobody waits for this")
    client.writer.close()


@pytest.mark.parametrize("rest", [b"\r\n", b"POST / HTTP/1.1\r\nhost", b"POST /a HTTP/1.1\r\nhost: x\r\n\r\n"])
async def test_a_client_that_leaves_is_noticed_whatever_it_sent_meanwhile(rest: bytes):
    async with waiting() as (_, client, under):
        client.writer.write(rest)
        await asyncio.sleep(0.01)
        client.writer.close()
        await until(lambda: under.is_given_up)


async def test_of_what_is_sent_meanwhile_a_bounded_part_is_read():
    async with waiting() as (_, client, under):
        client.writer.write(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 50000000\r\n\r\n" + bytes(50_000_000))
        await asyncio.sleep(0.2)
        assert unread(client) > 30_000_000
        under.end(b"1")
        assert (await client.answer()).body == b"1"
        await until(lambda: unread(client) == 0)


def unread(client: Client) -> int:
    """What a client has sent and still holds itself, as nobody reads it."""
    return client.writer.transport.get_write_buffer_size()


async def test_a_mistake_in_going_on_closes_the_socket(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise RuntimeError("no")

    async with waiting() as (_, client, under):
        monkeypatch.setattr(Spoken, "_give", broken)
        with pytest.raises(RuntimeError):
            under.end(b"1")
        assert await client.is_left() == b""


@pytest.mark.parametrize("how", ["answered", "left"])
async def test_nothing_of_it_is_garbage(how: str):
    app = Slowly()
    with collecting() as found:
        async with over(app) as client:
            await met(app, client)
            client.send(b"number")
            under = await app.latest(1)
            under.end(b"1" if how == "answered" else None)
            await client.answer()
            client.writer.close()
            await asyncio.sleep(0.05)
            app.under.clear()
            app.called.clear()
            del under
    assert [each for each in found if isinstance(each, Spoken | Under)] == []


async def test_a_client_that_waits_is_not_taken_for_one_that_is_idle(monkeypatch: pytest.MonkeyPatch):
    keep_for(monkeypatch, 0.05)
    async with waiting() as (_, client, under):
        await asyncio.sleep(0.2)
        under.end(b"here")
        assert (await client.answer()).body == b"here"
        assert await client.is_left() == b""  # as it is idle from then on
