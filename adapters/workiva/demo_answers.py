"""How the imitation of Wdata refuses: ``SingleError`` with a text for a body, ``MultiError`` with an array of them."""

from starlette.responses import JSONResponse, Response


def invalid(*reasons: str) -> Response:
    return JSONResponse({"body": list(reasons), "code": 400}, 400)


def not_found(what: str = "connection") -> Response:
    detail = {"code": "NOT_FOUND", "message": f"{what} does not exist", "target": f"{what}Id"}
    return JSONResponse({"body": f"{what.capitalize()} was not found", "code": 404, "details": [detail]}, 404)


def conflict(connection_id: str) -> Response:
    detail = {"code": "CONFLICT", "message": f"connection {connection_id} has a job in progress"}
    return JSONResponse({"body": "Connection is already being refreshed", "code": 409, "details": [detail]}, 409)
