"""The long calls of the imitation of Airbyte: checks of sources and destinations, and discoveries of schemas.

They are synchronous, so a caller waits as long as the connector takes. Shapes are those of v0.40.32; the times of a
``SynchronousJobRead`` are in milliseconds, unlike those of other jobs.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.responses import JSONResponse, Response

from adapters.airbyte.demo_answers import Body, Handler, required
from adapters.airbyte.demo_catalog import discovered, protocol
from adapters.airbyte.demo_data import PLANTED, UNREACHABLE, kind_of
from adapters.airbyte.demo_rows import AirbyteRows
from adapters.imitation import Effect, native_id

_DAY_S = 86_400


class Tasks:
    """The handlers of single sources and destinations, over ``rows``.

    Effects are of the kinds check and discover, with the id of the source or destination, from when they begin. Those
    of sources of the kind `UNREACHABLE` fail, and only their logs hold a password.
    """

    def __init__(self, rows: AirbyteRows) -> None:
        self._rows = rows
        self._discovered_at: dict[str, int] = {}
        self._born = int(rows.clock())

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "/v1/sources/get": lambda body: self._get("source", body),
            "/v1/destinations/get": lambda body: self._get("destination", body),
            "/v1/sources/check_connection": lambda body: self._check("source", body),
            "/v1/destinations/check_connection": lambda body: self._check("destination", body),
            "/v1/sources/discover_schema": self._discover,
            "/v1/sources/most_recent_source_actor_catalog": self._most_recent,
        }

    def _found(self, side: str, body: Body) -> tuple[str, int]:
        """The id that the body gives, and the place of that source or destination."""
        required(body, f"{side}Id")
        id = body[f"{side}Id"]
        return id, self._rows.place(side, self._rows.first(side, id))

    def _get(self, side: str, body: Body) -> Response:
        id, _ = self._found(side, body)
        return JSONResponse(self._rows.end_of(side, self._rows.first(side, id)))

    async def _check(self, side: str, body: Body) -> Response:
        id, place = self._found(side, body)
        job = await self._ran("check", f"check_connection_{side}", id)
        if side == "source" and kind_of(side, place) == UNREACHABLE:
            message = "State code: 18; The host refused the login. Check user name and password."
            return JSONResponse({"status": "failed", "message": message, "jobInfo": job | _logs(failed=True)})
        return JSONResponse({"status": "succeeded", "jobInfo": job | _logs(failed=False)})

    async def _discover(self, body: Body) -> Response:
        id, place = self._found("source", body)
        number = None if body.get("connectionId") is None else self._rows.known(body["connectionId"])
        job = await self._ran("discover", "discover_schema", id)
        if kind_of("source", place) == UNREACHABLE:
            return JSONResponse({"jobInfo": job | _logs(failed=True) | {"succeeded": False}})
        self._discovered_at[id] = int(self._rows.clock())
        answer = {"catalog": discovered(place), "catalogId": str(UUID(native_id("discovered", id)))}
        answer |= {"jobInfo": job | _logs(failed=False)}
        if number is not None:
            status = self._rows.status(number)
            answer |= {"catalogDiff": {"transforms": []}, "breakingChange": False, "connectionStatus": status}
        return JSONResponse(answer)

    def _most_recent(self, body: Body) -> Response:
        """An ``ActorCatalogWithUpdatedAt``; its catalog is as connectors write it, not as the rest of the API does."""
        id, place = self._found("source", body)
        updated_at = self._discovered_at.get(id, self._born - _DAY_S * (1 + place))
        return JSONResponse({"updatedAt": updated_at, "catalog": protocol(discovered(place))})

    async def _ran(self, kind: str, type: str, id: str) -> dict[str, Any]:
        """A ``SynchronousJobRead``, when the job has run."""
        rows = self._rows
        rows.effects.append(Effect(kind, id))
        began_ms, task_id = int(rows.clock() * 1000), str(UUID(native_id("task", len(rows.effects))))
        await asyncio.sleep(rows.task_lasts_s)
        return {
            "id": task_id,
            "configType": type,
            "configId": id,
            "createdAt": began_ms,
            "endedAt": int(rows.clock() * 1000),
            "succeeded": True,
            "connectorConfigurationUpdated": False,
        }


def _logs(*, failed: bool) -> dict[str, Any]:
    lines = ["Starting a container of the connector", "Connector exited: 0"]
    if failed:
        lines.insert(1, f"connect failed: mongodb://airbyte:{PLANTED}@db.internal.example:27017/admin")
    return {"logs": {"logLines": lines}}
