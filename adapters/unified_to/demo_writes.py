"""What calls write to the imitation of Unified.to, and the URL with which its customers do so themselves.

POST, PUT, PATCH and DELETE ``/unified/connection``, and GET ``/unified/integration/auth/{workspace}/{integration}``, as
its SDK of November 2024 has them. PUT and PATCH alike change the fields they give.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from adapters.imitation import Effect, iso
from adapters.refusals import refusing
from adapters.unified_to.demo_answers import refused
from adapters.unified_to.demo_data import INTEGRATIONS, WORKSPACE
from adapters.unified_to.demo_rows import UnifiedToRows

AUTHORIZE_URL = "https://connect.example.com/oauth/authorize"
AUTHORIZE_PATH = "/unified/integration/auth/"
"""Browsers go there without a token."""
REQUIRED = ("integration_type", "categories", "permissions", "auth")
_TYPES = tuple(type for type, *_ in INTEGRATIONS)
_OFFERED = {type: name for type, name, *_ in INTEGRATIONS if name}


class _Given(msgspec.Struct):
    """What can be written of a ``Connection``; whatever else is given is ignored, read-only fields among it."""

    integration_type: str = ""
    categories: list[str] = []
    permissions: list[str] = []
    auth: dict[str, Any] | None = None
    external_xref: str | None = None
    environment: str | None = None
    auth_aws_arn: str | None = None
    secretsmanager_id: str | None = None
    secretsmanager_key: str | None = None


class Writes:
    """The routes that change something, over ``rows``. Effects are of the kinds create, update and delete, with the id
    of the connection."""

    def __init__(self, rows: UnifiedToRows) -> None:
        self._rows = rows

    def routes(self) -> list[Route]:
        return [
            Route("/unified/connection", refusing(self._create), methods=["POST"]),
            Route("/unified/connection/{id}", refusing(self._update), methods=["PUT", "PATCH"]),
            Route("/unified/connection/{id}", refusing(self._delete), methods=["DELETE"]),
            Route(AUTHORIZE_PATH + "{workspace}/{integration}", refusing(self._authorize)),
        ]

    async def _create(self, request: Request) -> Response:
        """Imports credentials that the customer has already. The answer holds them too, as all answers do."""
        given = _given(await request.body())
        for name in REQUIRED:
            if given.get(name) is None:
                raise refused(400, f'"{name}" is required')
        rows = self._rows
        number, now = rows.add(), iso(rows.clock())
        named = {"integration_name": _OFFERED.get(given["integration_type"], "")} if number % 3 == 1 else {}
        given["environment"] = given.get("environment") or "Production"
        rows.created.add(number)
        rows.written[number] = {
            "id": rows.id_of(number),
            "created_at": now,
            "updated_at": now,
            "workspace_id": WORKSPACE,
            "is_paused": False,
            **named,
            **given,
        }
        return self._done(number, "create")

    async def _update(self, request: Request) -> Response:
        number = self._found(request)
        given = _given(await request.body())
        self._rows.written[number] = {
            **self._rows.written.get(number, {}),
            **given,
            "updated_at": iso(self._rows.clock()),
        }
        return self._done(number, "update")

    async def _delete(self, request: Request) -> Response:
        number = self._found(request)
        id = self._rows.id_of(number)
        self._rows.deleted.add(id)
        self._rows.effects.append(Effect("delete", id))
        return Response()

    async def _authorize(self, request: Request) -> Response:
        """Where a customer is to be sent, as text. A connection begins there, at the hands of the customer."""
        if request.path_params["workspace"] != WORKSPACE:
            raise refused(404, "Workspace not found")
        integration = request.path_params["integration"]
        if integration not in _OFFERED:
            raise refused(404, "Integration not found")
        query = f"?{request.url.query}" if request.url.query else ""
        return PlainTextResponse(f"{AUTHORIZE_URL}/{WORKSPACE}/{integration}{query}")

    def _found(self, request: Request) -> int:
        number = self._rows.number(request.path_params["id"], self._rows.size)
        if number is None:
            raise refused(404, "Connection not found")
        return number

    def _done(self, number: int, kind: str) -> Response:
        """The answer to a write that is done."""
        self._rows.touched(number)
        self._rows.effects.append(Effect(kind, self._rows.id_of(number)))
        return JSONResponse(self._rows.row(number))


def _given(raw: bytes) -> dict[str, Any]:
    """The fields that the body gives. Raises Refused where one of them is of another kind than the specification's."""
    try:
        body = msgspec.json.decode(raw, type=dict[str, Any])
        msgspec.convert(body, _Given)
    except (msgspec.DecodeError, UnicodeDecodeError) as reason:
        raise refused(400, f"Invalid request payload input: {reason}") from None
    given = {name: body[name] for name in _Given.__struct_fields__ if name in body}
    if given.get("integration_type", _TYPES[0]) not in _TYPES:
        raise refused(400, '"integration_type" must be one of those on offer')
    return given
