"""How the imitation of Wdata refuses: ``SingleError`` with a text for a body, ``MultiError`` with an array of them."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Endpoint: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class Refused(Exception):
    """A call that is answered with a refusal, wherever in its handling that turns out."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def refusing(endpoint: Endpoint) -> Endpoint:
    """The endpoint, answering with the refusals that it raises."""

    async def answering(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refused:
            return refused.response

    return answering


def invalid(*reasons: str) -> Response:
    return JSONResponse({"body": list(reasons), "code": 400}, 400)


def not_found(what: str = "connection") -> Response:
    detail = {"code": "NOT_FOUND", "message": f"{what} does not exist", "target": f"{what}Id"}
    return JSONResponse({"body": f"{what.capitalize()} was not found", "code": 404, "details": [detail]}, 404)


def conflict(connection_id: str) -> Response:
    detail = {"code": "CONFLICT", "message": f"connection {connection_id} has a job in progress"}
    return JSONResponse({"body": "Connection is already being refreshed", "code": 409, "details": [detail]}, 409)
