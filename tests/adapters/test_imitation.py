"""The imitations' common ground: trouble on demand over real HTTP, a journal of calls, and runs as a rhythm."""

import asyncio
import contextlib
import datetime as dt
import math
import re
import socket
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.imitation import KNOBS_PATH, Effect, ImitationServer, Knobs, Rhythm, iso, native_id, serve


class Small(ImitationServer):
    """An imitation with a list of nothing, and things that can be made, named by the caller, when its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.app = Starlette(
            routes=[
                Route("/things", self._make, methods=["POST"]),
                Route("/{path:path}", self._list, methods=["GET", "POST"]),
            ]
        )

    async def _list(self, request: Request) -> Response:
        await request.body()
        return JSONResponse([])

    async def _make(self, request: Request) -> Response:
        name = (await request.json())["name"]
        await self.gate.wait()
        self.effects.append(Effect("create", name))
        return JSONResponse({"name": name, "made": len(self.effects)})


@contextlib.asynccontextmanager
async def small(**knobs: Any) -> AsyncGenerator[tuple[Small, httpx.AsyncClient]]:
    imitation = Small()
    imitation.knobs = Knobs(**knobs)
    async with imitation.serve() as url, httpx.AsyncClient(base_url=url) as client:
        yield imitation, client


async def test_an_imitation_left_alone_answers_and_counts():
    async with small() as (imitation, client):
        for path in ("/a", "/b", "/a"):
            assert (await client.get(path)).json() == []
        await client.post("/a")
    assert imitation.journal.calls == ["GET /a", "GET /b", "GET /a", "POST /a"]
    assert imitation.journal.by_path() == {"GET /a": 2, "GET /b": 1, "POST /a": 1}
    assert (imitation.journal.count(), imitation.journal.count("/a"), imitation.journal.count("POST")) == (4, 3, 1)
    imitation.journal.clear()
    assert imitation.journal.count() == 0


async def test_the_journal_has_calls_in_full():
    async with small() as (imitation, client):
        await client.get("/a?limit=5&tag=x&tag=y")
        await client.post("/b", json={"workspaceId": "é"})
    first, second = imitation.journal.asked
    assert (first.method, first.path, first.query) == ("GET", "/a", "limit=5&tag=x&tag=y")
    assert (first.params()["limit"], first.params().getlist("tag")) == ("5", ["x", "y"])
    assert first.json() is None
    assert (second.path, second.json()) == ("/b", {"workspaceId": "é"})
    imitation.journal.clear()
    assert imitation.journal.asked == []


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_status_that_has_no_body_is_answered_without_one(status: int):
    async with small(status=status) as (_, client):
        answer = await client.get("/a")
        assert (answer.status_code, answer.content) == (status, b"")
        assert (await client.post(KNOBS_PATH, json={"status": 99})).status_code == 400


async def test_a_status_is_answered_with_the_error_body_of_the_upstream():
    async with small(status=429, retry_after_s=1.5) as (imitation, client):
        answer = await client.get("/a")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1.5")
    assert answer.json() == {"message": "imitated failure"}
    assert imitation.journal.count() == 1


async def test_a_body_is_answered_instead_of_the_data():
    async with small(body="<html>") as (_, client):
        answer = await client.get("/a")
    assert (answer.status_code, answer.text) == (200, "<html>")


async def test_trouble_is_limited_to_paths_and_to_so_many_calls():
    async with small(status=500, only="/b", times=2) as (_, client):
        statuses = [(await client.get(path)).status_code for path in ("/a", "/b", "/b", "/b")]
    assert statuses == [200, 500, 500, 200]


async def test_a_delay_comes_before_the_answer_and_changes_nothing_else():
    async with small(delay_s=0.01) as (_, client):
        assert (await client.get("/a")).json() == []


async def test_a_reset_is_no_answer_at_all():
    async with small(reset=True, times=1) as (imitation, client):
        with pytest.raises(httpx.TransportError):
            await client.get("/a")
        assert (await client.get("/a")).status_code == 200
    assert imitation.journal.count() == 2


async def test_a_hanging_call_never_answers_and_ends_when_the_caller_leaves():
    async with small(hang=True, times=1) as (imitation, client):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/a", timeout=0.1)
        assert (await client.get("/a")).status_code == 200
    assert imitation.journal.count() == 2


# Trouble with a call that was carried out, or was not

LOST = {
    "hang": {"hang": True},
    "reset": {"reset": True},
    "status": {"status": 503},
    "body": {"body": "{"},
}
MADE = [Effect("create", "a")]


async def making(client: httpx.AsyncClient, **options: Any) -> httpx.Response | httpx.TransportError:
    """What a caller gets who makes a thing: an answer or none."""
    try:
        return await client.post("/things", json={"name": "a"}, **options)
    except httpx.TransportError as error:
        return error


async def received(answer: httpx.Response) -> tuple[bytes, httpx.TransportError | None]:
    """The body as far as it came, and what ended it."""
    got = b""
    try:
        async for chunk in answer.aiter_raw():
            got += chunk
    except httpx.TransportError as error:
        return got, error
    return got, None


async def until(done: Any) -> None:
    for _ in range(2000):
        if done():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


@pytest.mark.parametrize("trouble", LOST.values(), ids=LOST)
async def test_trouble_before_means_that_nothing_was_carried_out(trouble: dict[str, Any]):
    async with small(**trouble, times=1) as (imitation, client):
        await making(client, timeout=0.1)
        assert imitation.effects == []
        assert imitation.journal.asked[0].json() == {"name": "a"}, "the journal has the call all the same"
        assert (await client.post("/things", json={"name": "b"})).json() == {"name": "b", "made": 1}


@pytest.mark.parametrize("trouble", LOST.values(), ids=LOST)
async def test_late_trouble_means_that_all_was_carried_out_once_and_the_answer_lost(trouble: dict[str, Any]):
    async with small(**trouble, late=True) as (imitation, client):
        answer = await making(client, timeout=0.2)
        await until(lambda: imitation.effects)
    assert imitation.effects == MADE
    assert not isinstance(answer, httpx.Response) or answer.text in ('{"message":"imitated failure"}', "{")


async def test_a_late_call_without_trouble_gets_its_own_answer_once():
    async with small(late=True) as (imitation, client):
        assert (await client.post("/things", json={"name": "a"})).json() == {"name": "a", "made": 1}
    assert imitation.effects == MADE


@pytest.mark.parametrize("late", [False, True])
async def test_a_cut_answer_has_its_right_length_and_half_its_body(late: bool):
    async with small(cut=True, late=late) as (imitation, client):
        async with client.stream("POST", "/things", json={"name": "a"}) as answer:
            got, failure = await received(answer)
        whole = b'{"name":"a","made":1}'
        assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(whole)))
        assert got == whole[: len(whole) // 2]
        assert isinstance(failure, httpx.RemoteProtocolError)
        assert imitation.effects == MADE


async def test_a_cut_is_of_so_many_calls_and_the_next_is_whole():
    async with small(cut=True, times=1) as (imitation, client):
        assert isinstance(await making(client), httpx.RemoteProtocolError)
        assert (await client.post("/things", json={"name": "b"})).json()["made"] == 2
    assert [effect.id for effect in imitation.effects] == ["a", "b"]


@pytest.mark.parametrize("knobs", [{}, {"delay_s": 0.3}, {"late": True}], ids=["none", "delay", "late"])
async def test_what_was_begun_goes_on_though_the_caller_left(knobs: dict[str, Any]):
    async with small(**knobs) as (imitation, client):
        imitation.gate.clear()
        assert isinstance(await making(client, timeout=0.1), httpx.ReadTimeout)
        assert imitation.effects == []
        imitation.gate.set()
        await until(lambda: imitation.effects)
        assert imitation.effects == MADE


async def test_a_caller_that_leaves_before_its_body_is_sent_asked_for_nothing():
    imitation = Small()
    imitation.knobs = Knobs(cut=True)
    async with imitation.serve() as url:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b'POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n{"name"')
        await until(lambda: imitation.journal.calls and imitation.journal.asked[0].body)
        writer.close()
        await writer.wait_closed()
    assert imitation.effects == []


async def test_effects_stay_when_the_journal_is_cleared():
    async with small() as (imitation, client):
        await making(client)
    imitation.journal.clear()
    assert imitation.effects == MADE


async def test_knobs_are_turned_over_http_and_are_not_in_the_journal():
    async with small() as (imitation, client):
        shown = await client.post(KNOBS_PATH, json={"status": 503, "times": 1})
        assert shown.json() == (await client.get(KNOBS_PATH)).json()
        assert (imitation.knobs.status, imitation.knobs.times) == (503, 1)
        assert [(await client.get("/a")).status_code for _ in range(2)] == [503, 200]
        await client.post(KNOBS_PATH)
        assert imitation.knobs == Knobs()
    assert imitation.journal.calls == ["GET /a"] * 2


async def test_a_knob_nobody_knows_is_refused_and_turns_nothing():
    async with small(status=418) as (imitation, client):
        refused = await client.post(KNOBS_PATH, json={"status": 500, "explode": True})
        assert (refused.status_code, "explode" in refused.json()["error"]) == (400, True)
        assert (await client.post(KNOBS_PATH, content=b"{")).status_code == 400
    assert imitation.knobs.status == 418


async def test_a_port_that_is_taken_is_said_so():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match=r"\d"):
        async with serve(Small().app, taken.getsockname()[1]):
            raise AssertionError("served on a taken port")


async def test_a_server_is_gone_when_its_block_ends():
    async with Small().serve() as url:
        assert url.rpartition(":")[0] == "http://127.0.0.1"
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_a_server_ends_though_a_call_hangs():
    async with small(hang=True) as (imitation, client):
        hanging = asyncio.create_task(client.get("/a", timeout=30))
        for _ in range(1000):
            if imitation.journal.calls:
                break
            await asyncio.sleep(0.005)
        assert imitation.journal.calls
        hanging.cancel()
        await asyncio.wait([hanging])


def test_native_ids_are_the_same_for_the_same_parts_only():
    assert native_id("a", 1) == native_id("a", "1")
    assert len({native_id("a", number) for number in range(1000)}) == 1000
    assert re.fullmatch("[0-9a-f]{32}", native_id("a"))


@given(st.integers(0, 4_000_000_000_000))
def test_a_moment_is_written_as_the_upstreams_write_it(milliseconds: int):
    written = iso(milliseconds / 1000)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written)
    assert abs(dt.datetime.fromisoformat(written).timestamp() * 1000 - milliseconds) <= 1


# Rhythm

RHYTHM = Rhythm(period_s=100, lasts_s=40, phase_s=1000, outcomes=("good", "bad"))
RHYTHMS = st.integers(1, 100_000).flatmap(
    lambda period_s: st.builds(
        Rhythm,
        period_s=st.just(float(period_s)),
        lasts_s=st.integers(1, period_s).map(float),
        phase_s=st.integers(0, 10**6).map(float),
        outcomes=st.lists(st.sampled_from("abc"), min_size=1).map(tuple),
    )
)
MOMENTS = st.integers(0, 4 * 10**12).map(lambda milliseconds: milliseconds / 1000)


def test_a_run_goes_on_and_then_has_ended():
    assert RHYTHM.beat(1000) == (0, 1000, None, "good", 0)
    assert RHYTHM.beat(1020) == (0, 1000, None, "good", 0.5)
    assert RHYTHM.beat(1040) == (0, 1000, 1040, "good", 1)
    assert RHYTHM.beat(1099) == (0, 1000, 1040, "good", 1)
    assert RHYTHM.beat(1100) == (1, 1100, None, "bad", 0)
    assert RHYTHM.beat(1120, back=1) == (0, 1000, 1040, "good", 1)
    assert RHYTHM.beat(999).number == -1, "there were always runs before"


@given(RHYTHMS, MOMENTS, st.integers(0, 20))
def test_a_run_begins_before_now_and_ends_before_the_next_begins(rhythm: Rhythm, now: float, back: int):
    beat = rhythm.beat(now, back)
    assert beat.started_at <= now
    assert 0 <= beat.progress <= 1
    assert (beat.ended_at is None) == (beat.progress < 1)
    assert beat.ended_at is None or beat.started_at < beat.ended_at <= now + 1e-3
    assert rhythm.beat(now, back + 1).number == beat.number - 1
    assert math.isclose(rhythm.beat(now, back + 1).started_at, beat.started_at - rhythm.period_s, abs_tol=1e-3)


@given(RHYTHMS, MOMENTS)
def test_a_rhythm_is_a_function_of_the_time_alone(rhythm: Rhythm, now: float):
    assert rhythm.beat(now) == Rhythm(*rhythm).beat(now)
    assert rhythm.beat(now, 1).ended_at is not None, "only the last run can be going on"


@given(RHYTHMS, MOMENTS)
def test_outcomes_come_in_turn(rhythm: Rhythm, now: float):
    count = len(rhythm.outcomes)
    outcomes = [rhythm.beat(now, count - 1 - back).outcome for back in range(count)]
    start = rhythm.beat(now, count - 1).number % count
    assert outcomes == [*rhythm.outcomes[start:], *rhythm.outcomes[:start]]
