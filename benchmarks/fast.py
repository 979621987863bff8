"""A fleet answered from memory, in a process of its own: never what a benchmark waits for.

``python -m benchmarks.fast`` says the configuration of its instances and some of their native ids. A call that is new
is put to the imitations of the upstreams, once, and its answer kept as bytes: what is sent later has their shapes and
none of their cost. Told ``changing``, it sends each list and each connection as another variant each time, in which
one row in a hundred is another than before; told ``replaced``, as one in which every row is; told anything else, always
as it is. Whatever it is told, it says how many calls were made since the last time.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import httpx
import orjson
import uvloop

from adapters.airbyte.demo import AirbyteImitation
from adapters.imitation import ListImitation, listener
from adapters.unified_to.demo import UnifiedToImitation
from adapters.workiva.demo import WorkivaImitation
from benchmarks.talk import lines, say

FLEETS = {"hundred": 100, "thousand": 1000}
"""How many connections each of the three upstreams has, by name; Unified.to one less, and Wdata one more where its page
holds it."""
LONGEST_PAGE = 1000
VARIANTS = 16
TOKENS_LAST_S = 86_400
CHANGES = {
    "/web_backend/connections/list": "name",
    "/web_backend/connections/get": "name",
    "/api/v1/connections": "name",
    "/unified/connection": "external_xref",
}
"""What is another in a changed row, by where it is listed or got. No list is sorted by it."""


class Answer:
    """What one call is answered: in a regime that has variants, one after the other, else always the same."""

    def __init__(self, unchanged: bytes, variants: Mapping[str, Sequence[bytes]]) -> None:
        self._unchanged = unchanged
        self._variants = variants
        self._asked = 0

    def next(self, regime: str) -> bytes:
        """The answer to the next call."""
        variants = self._variants.get(regime)
        if variants is None:
            return self._unchanged
        self._asked += 1
        return variants[self._asked % len(variants)]


class Call(NamedTuple):
    """A call as it was read."""

    method: str
    target: str
    head: bytes
    body: bytes


class Answers:
    """The answers of all fleets, made at the first call."""

    def __init__(self, servers: Mapping[str, ListImitation]) -> None:
        self.regime = ""
        self.calls = 0
        self._servers = servers
        self._known: dict[tuple[bytes, bytes], Answer] = {}

    def known(self, line: bytes, body: bytes) -> bytes | None:
        """The answer to a call that was made before, by its first line and its body."""
        self.calls += 1
        answer = self._known.get((line, body))
        return answer and answer.next(self.regime)

    async def made(self, line: bytes, head: bytes, body: bytes) -> bytes:
        """The answer to a call that was not."""
        method, target, _ = line.decode().split(" ")
        _, fleet, provider, path = target.split("/", 3)
        fields = (each.split(": ", 1) for each in head.decode().split("\r\n")[1:])
        headers = {name: value for name, value in fields if name.lower() in ("authorization", "content-type")}
        app = self._servers[f"{fleet}/{provider}"].app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://imitation") as client:
            response = await client.request(method, f"/{path}", headers=headers, content=body)
        variants = _variants(f"/{path}", response)
        encoded = {regime: [answered(each) for each in bodies] for regime, bodies in variants.items()}
        answer = Answer(answered(response.content, response.status_code), encoded)
        if response.is_success:
            self._known[line, body] = answer
        return answer.next(self.regime)


def _variants(target: str, response: httpx.Response) -> dict[str, list[bytes]]:
    """The bodies of each regime in which they differ, where the body is of connections."""
    path = target.partition("?")[0]
    field = next((of for part, of in CHANGES.items() if path.endswith(part) or path.startswith(part)), None)
    if field is None or not response.is_success:
        return {}
    return {"changing": changing(response.content, field), "replaced": _replaced(response.content, field)}


def changing(content: bytes, field: str) -> list[bytes]:
    """The body with more and more rows changed, and back again: one row in a hundred from each to the next."""
    body = orjson.loads(content)
    variants = [orjson.dumps(body)]
    for variant in range(1, VARIANTS):
        for row in _rows(body)[variant - 1 :: 100]:
            row[field] = f"{row.get(field) or ''} ({variant})"
        variants.append(orjson.dumps(body))
    return [*variants, *variants[-2:0:-1]]


def _replaced(content: bytes, field: str) -> list[bytes]:
    """The body with every row changed, differently in each."""
    body = orjson.loads(content)
    rows = _rows(body)
    were = [row.get(field) or "" for row in rows]
    variants: list[bytes] = []
    for variant in range(VARIANTS):
        for row, was in zip(rows, were, strict=True):
            row[field] = f"{was} ({variant})"
        variants.append(orjson.dumps(body))
    return variants


def _rows(body: Any) -> list[Any]:
    """The connections in a body; one alone is got by id, and changes every time."""
    if isinstance(body, dict):
        inside = cast("dict[str, Any]", body)
        body = inside.get("connections", inside.get("body", inside))
    return cast("list[Any]", body) if isinstance(body, list) else [body] * 100


def answered(body: bytes, status: int = 200) -> bytes:
    """An answer with this body, as it is sent."""
    head = f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Serving(asyncio.Protocol):
    """One client. It sends one request at a time, as HTTP/1.1 clients do."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = b""
        self._making: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        head, end, body = received.partition(b"\r\n\r\n")
        if not end or len(body) < length(head):
            return
        self._received = b""
        line = head[: head.index(b"\r\n")]
        known = self._answers.known(line, body)
        if known is None:
            self._making = asyncio.create_task(self._make(line, head, body))
        else:
            self._write(known)

    async def _make(self, line: bytes, head: bytes, body: bytes) -> None:
        self._write(await self._answers.made(line, head, body))

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)


def length(head: bytes) -> int:
    """The length of the body that follows."""
    if head.startswith(b"GET"):
        return 0
    at = head.lower().find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def imitations(size: int, born: float) -> dict[str, ListImitation]:
    """One imitation of each upstream, with about so many connections to list each. Their data stands still."""
    return {
        "airbyte": AirbyteImitation(
            size=size, clock=lambda: born, workspaces={"Europe": 1}, token_lasts_s=TOKENS_LAST_S
        ),
        "workiva": WorkivaImitation(size=size + (size < LONGEST_PAGE), clock=lambda: born, token_lasts_s=TOKENS_LAST_S),
        # Two in three are in the one environment that is read, and one less than full pages: the last is known as such.
        "unified": UnifiedToImitation(size=size * 3 // 2 - 2, clock=lambda: born),
    }


def configured(fleet: Mapping[str, ListImitation], base_url: str) -> dict[str, Any]:
    """The instances of a fleet as they stand in a configuration."""
    instances = {name: server.settings(f"{base_url}/{name}") for name, server in fleet.items()}
    instances["unified"]["environments"] = ["Production"]
    return instances


def ids_of(fleet: Mapping[str, ListImitation]) -> dict[str, list[str]]:
    """Native ids of the first connections of each instance, of those that lists show."""
    shown = [number for number in range(96) if number % 6 in (0, 1, 3, 4)]
    return {name: [server.id_of(number) for number in shown] for name, server in fleet.items()}


async def main() -> None:
    """Serve the fleets."""
    fleets = {name: imitations(size, time.time()) for name, size in FLEETS.items()}
    answers = Answers({f"{name}/{of}": server for name, fleet in fleets.items() for of, server in fleet.items()})
    with listener("127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = await asyncio.get_running_loop().create_server(lambda: Serving(answers), sock=listening)
        instances = {name: configured(fleet, f"{url}/{name}") for name, fleet in fleets.items()}
        say({"instances": instances, "ids": {name: ids_of(fleet) for name, fleet in fleets.items()}})
        async for line in lines():
            calls, answers.calls = answers.calls, 0
            answers.regime = line
            say(calls)
        server.close()


if __name__ == "__main__":
    uvloop.run(main())
