"""How the imitation of Unified.to refuses: with ``statusCode``, ``error`` and ``message``, whatever it refuses."""

from collections.abc import Callable, Coroutine
from http.client import responses
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Endpoint: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class Refused(Exception):
    """A call that is answered with a refusal, wherever in its handling that turns out."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = error(status, message)


def refusing(endpoint: Endpoint) -> Endpoint:
    """The endpoint, answering with the refusals that it raises."""

    async def answering(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refused:
            return refused.response

    return answering


def error(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "error": responses.get(status, ""), "message": message}, status)
