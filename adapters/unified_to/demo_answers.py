"""How the imitation of Unified.to refuses: with ``statusCode``, ``error`` and ``message``, whatever it refuses."""

from http.client import responses

from starlette.responses import JSONResponse, Response

from adapters.refusals import Refused


def refused(status: int, message: str) -> Refused:
    return Refused(error(status, message))


def error(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "error": responses.get(status, ""), "message": message}, status)
