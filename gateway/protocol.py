"""HTTP as uvicorn speaks it, with a shorter way for requests that came whole and answers that are whole.

An ASGI app is given a request's body in messages and gives its answer in two or more, each of which waits for its turn,
and each header is looked at every time for what no header can hold. Where the whole body is here before the app asks
for it, it may be taken as it is; and where the app has all of its answer, head and body go out in one write.
"""

import asyncio
from typing import Any, Final, Protocol, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from adapters.alarm import Alarm


class Direct(Protocol):
    """What a server can do for an app beside what ASGI describes. ``loop`` is the one that it runs in."""

    loop: asyncio.AbstractEventLoop

    def whole_body(self, scope: Scope) -> bytes | None:
        """The body of the request, once; None where not all of it has come, and it is to be received."""
        ...

    def answer(self, scope: Scope, status: int, lines: bytes, body: bytes) -> bool:
        """Answer the request with header ``lines`` as they are sent, and a body whose length is told by the server.
        False where that is to be sent in messages."""
        ...


_EXTENSION: Final = "gateway.direct"


def direct(scope: Scope) -> Direct | None:
    """What the server of this request can do; None for any server but ours."""
    return scope.get("extensions", {}).get(_EXTENSION)


class Spoken(HttpToolsProtocol):
    """uvicorn's end of a socket, with that way, and with one timer for a socket that nobody uses where uvicorn has one
    for each answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._extensions: dict[str, Direct] = {_EXTENSION: self}
        self._alarm = Alarm(self.loop, self.timeout_keep_alive_handler)
        self._given: list[tuple[bytes, bytes]] = []
        self._given_lines = b""

    # What uvicorn does otherwise

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._alarm.close()
        self._extensions.clear()  # or scopes and this would hold each other until garbage is collected

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("Any", self.scope)["extensions"] = self._extensions

    def _unset_keepalive_if_required(self) -> None:
        self._alarm.clear()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._alarm.set(self.timeout_keep_alive)

    # What it does not do

    def whole_body(self, scope: Scope) -> bytes | None:
        """As `Direct` has it."""
        cycle = self.cycle
        if cycle.scope is not scope or cycle.more_body or cycle.disconnected:  # another came after it, or none is left
            return None
        body = bytes(cycle.body)
        cycle.body = bytearray()
        cycle.message_event.clear()
        return body

    def answer(self, scope: Scope, status: int, lines: bytes, body: bytes) -> bool:
        """Likewise."""
        cycle = self.cycle
        if cycle.scope is not scope or cycle.response_started or cycle.disconnected or cycle.waiting_for_100_continue:
            return False
        if self.flow.write_paused or cycle.access_log or scope["method"] == "HEAD":
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        end = b"" if cycle.keep_alive else b"connection: close\r\n"
        head = b"%b%b%b%bcontent-length: %d\r\n\r\n" % (STATUS_LINE[status], self._lines(), lines, end, len(body))
        self.transport.write(head + body)
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()
        return True

    def _lines(self) -> bytes:
        """The headers that the server gives itself, which it makes anew each second."""
        given = self.server_state.default_headers
        if given is not self._given:
            self._given = given
            self._given_lines = b"".join(b"%b: %b\r\n" % pair for pair in given)
        return self._given_lines
