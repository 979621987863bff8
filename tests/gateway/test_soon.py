"""Answers that are under way without a task that waits for them: what else comes over the socket waits for its turn."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Receive, Scope, Send

from adapters.imitation import serve
from gateway.protocol import Head, Spoken, Whole, direct
from tests.adapters.upstream import until
from tests.gateway.sockets import Client, connected, keep_for, over

LINES = b"content-type: text/plain\r\n"


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


class Slowly:
    """An app that has answers under way for requests whose heads are known, but for those that say ``called``."""

    def __init__(self) -> None:
        self.under: list[Under] = []
        self.called: list[tuple[bytes, object]] = []
        """The bodies that the app was called with, and what was under way for them before."""

    def at_once(self, head: Head, body: bytes) -> Under | None:
        if body == b"called":
            return None
        self.under.append(Under(body))
        return self.under[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        at_once = direct(scope)
        assert at_once is not None
        body = at_once.whole_body(scope)
        while body is None:
            message = await receive()
            body = message["body"]
        self.called.append((body, at_once.left(scope)))
        answer = b"called with " + body
        if not at_once.answer(scope, 200, LINES, answer):  # another request has come after it
            headers = [(b"content-length", b"%d" % len(answer))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    async def latest(self, count: int) -> Under:
        """What is under way, once so much was begun."""
        await until(lambda: len(self.under) == count)
        return self.under[-1]


async def met(app: Slowly, client: Client) -> None:
    """Have the server know the head of requests with a body of six bytes."""
    client.send(b"called")
    assert (await client.answer()).body == b"called with called"
    app.called.clear()


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
    app = Slowly()
    async with over(app) as client:
        await met(app, client)
        client.send(b"number")
        under = await app.latest(1)
        under.end(None)
        assert (await client.answer()).body == b"called with number"
        assert app.called == [(b"number", under)]
        client.send(b"called")
        assert (await client.answer()).body == b"called with called"
    assert app.called[1:] == [(b"called", None)]


async def test_what_is_sent_meanwhile_waits_for_its_turn():
    app = Slowly()
    async with over(app) as client:
        await met(app, client)
        client.send(b"first ")
        under = await app.latest(1)
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
    app = Slowly()
    async with over(app) as client:
        await met(app, client)
        client.send(b"first ")
        under = await app.latest(1)
        client.send(b"second")
        await asyncio.sleep(0.01)
        under.end(b"1")
        under = await app.latest(2)
        assert under.body == b"second"
        under.end(b"2")
        assert [(await client.answer()).body for _ in range(2)] == [b"1", b"2"]


async def test_the_app_called_in_the_end_is_answered_before_what_was_sent_meanwhile():
    app = Slowly()
    async with over(app) as client:
        await met(app, client)
        client.send(b"first ")
        under = await app.latest(1)
        client.send(b"called")
        await asyncio.sleep(0.01)
        under.end(None)
        assert [(await client.answer()).body for _ in range(2)] == [b"called with first ", b"called with called"]
    assert app.called == [(b"first ", under), (b"called", None)]


async def test_a_client_that_leaves_is_told_nothing():
    app = Slowly()
    async with over(app) as client:
        await met(app, client)
        client.send(b"number")
        under = await app.latest(1)
        client.writer.close()
        await until(lambda: under.is_given_up)
        under.end(b"nobody reads this")
    assert app.called == []


@pytest.mark.parametrize("told", [b"the last", None])
async def test_a_server_that_ends_gives_the_answer_and_closes_the_socket(told: bytes | None):
    app = Slowly()
    async with serve(app, http=Spoken) as url:
        client = await connected(url)
        await met(app, client)
        client.send(b"number")
        under = await app.latest(1)
        asyncio.get_running_loop().call_later(0.2, under.end, told)
    answer = await client.answer()
    assert (answer.headers["connection"], answer.body) == ("close", told or b"called with number")
    assert await client.is_left() == b""
    client.writer.close()


async def test_a_client_that_waits_is_not_taken_for_one_that_is_idle(monkeypatch: pytest.MonkeyPatch):
    keep_for(monkeypatch, 0.05)
    app = Slowly()
    async with over(app) as client:
        await met(app, client)
        client.send(b"number")
        under = await app.latest(1)
        await asyncio.sleep(0.2)
        under.end(b"here")
        assert (await client.answer()).body == b"here"
        assert await client.is_left() == b""  # as it is idle from then on
