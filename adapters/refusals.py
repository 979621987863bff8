"""How an imitation refuses: whatever handles a call raises the answer, wherever that turns out."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

Endpoint: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class Refused(Exception):
    """A call that is answered with this refusal."""

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
