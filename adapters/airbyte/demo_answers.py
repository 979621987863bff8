"""How the imitation of Airbyte answers: handlers over decoded bodies, and refusals with the upstream's own bodies.

Shapes are those of airbyte-server's errors at v0.40.32: 404 ``NotFoundKnownExceptionInfo``, 400 where a required
property is missing (``InvalidInputExceptionInfo``, though the specification says 422), 422 where a body cannot be read,
409 ``ValueConflictKnownException``. All carry stack traces.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adapters.refusals import Endpoint, Refused, refusing

Body: TypeAlias = Mapping[str, Any]
Handler: TypeAlias = Callable[[Any], Response | Awaitable[Response]]


def post(handler: Handler) -> Endpoint:
    """The endpoint that gives ``handler`` the body, which is an object; no body is an empty one."""

    async def endpoint(request: Request) -> Response:
        answer = handler(_decoded(await request.body()))
        return await answer if inspect.isawaitable(answer) else answer

    return refusing(endpoint)


def _decoded(raw: bytes) -> Body:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any]) if raw else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise unreadable("Invalid json. The request body is no object.") from None


def failure(status: int, message: str, name: str, **more: Any) -> Response:
    """Any ``KnownExceptionInfo``; ``name`` is that of the exception's class."""
    name = f"io.airbyte.commons.server.errors.{name}"
    trace = [f"{name}: {message}", "at io.airbyte.server.apis.ApiHelper.execute(ApiHelper.java:28)"]
    body = {"message": message, "exceptionClassName": name, "exceptionStack": trace, **more}
    return JSONResponse(body, status)


def not_found(kind: str, id: object) -> Refused:
    message = f"Could not find configuration for {kind}: {id}."
    return Refused(failure(404, message, "IdNotFoundKnownException", id=str(id)))


def conflict(message: str) -> Refused:
    return Refused(failure(409, message, "ValueConflictKnownException"))


def unreadable(message: str) -> Refused:
    return Refused(failure(422, message, "BadObjectSchemaKnownException"))


def required(body: Body, *names: str) -> None:
    """Raises Refused where the body lacks one of these."""
    missing = [name for name in names if body.get(name) is None]
    if missing:
        errors = [{"propertyPath": name, "invalidValue": "null", "message": "must not be null"} for name in missing]
        message = "Some properties contained invalid input."
        raise Refused(failure(400, message, "InvalidInputExceptionHandler", validationErrors=errors))


def readable(body: Body, kind: type[msgspec.Struct]) -> None:
    """Raises Refused where a property of the body is of another kind than the specification's."""
    try:
        msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise unreadable(f"Invalid json. {error}") from None
