"""The runs of the imitation of Wdata: those that come by themselves, by the clock, and those that calls began."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from adapters.imitation import Beat, Rhythm, iso, native_id
from adapters.workiva.demo_data import OUTCOMES, USERS, WORKSPACE, connection_id, outcomes, sides

_REMEMBERED = 100
"""How many runs back one that came by itself is still found by its id."""
_NOT_WRITABLE = "Destination is not writable"
_COMPLETE, _UNWRITABLE, _CANCELLED = (
    str(OUTCOMES.index(of)) for of in (("complete", "complete"), ("complete", "error"), ("complete", "cancelled"))
)


class Parameters(NamedTuple):
    """What a run is begun with: free-form objects."""

    source: Mapping[str, Any]
    destination: Mapping[str, Any]


class _Begun(msgspec.Struct):
    """What a call began: ``outcome`` is where it leads, by its place in `OUTCOMES`."""

    id: str
    number: int
    at: float
    lasts_s: float
    outcome: str
    parameters: Parameters


class Runs:
    """All runs of all connections, by the number of each."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: dict[int, list[_Begun]] = {}
        self._count = 0

    def rhythm(self, number: int) -> Rhythm:
        """Every tenth connection starts a run each minute and a half; the others keep office hours."""
        quick = number % 10 == 1
        period_s = 90.0 if quick else 3600.0 * (1 + number % 12)
        lasts_s = 40.0 if quick else 20.0 + number
        return Rhythm(period_s, lasts_s, 17.0 * number, outcomes(number))

    def begin(self, number: int, lasts_s: float, parameters: Parameters, *, writable: bool = True) -> dict[str, Any]:
        """The ``ConnectionRunDto`` of a new run."""
        return self._put(number, lasts_s, _COMPLETE if writable else _UNWRITABLE, parameters)

    def cancelled(self, number: int, parameters: Parameters) -> dict[str, Any]:
        """The ``ConnectionRunDto`` of a run that was called off since its destination is not writable."""
        return self._put(number, 0.0, _CANCELLED, parameters) | {"error": _NOT_WRITABLE}

    def _put(self, number: int, lasts_s: float, outcome: str, parameters: Parameters) -> dict[str, Any]:
        self._count += 1
        id = native_id("job", "begun", self._count)
        begun = _Begun(id, number, self._clock(), lasts_s, outcome, parameters)
        self._begun.setdefault(number, []).append(begun)
        return self._read_begun(begun)

    def is_running(self, number: int) -> bool:
        """Whether a run of the connection goes on."""
        begun = self._begun.get(number, ())
        if any(self._beat(one).ended_at is None for one in begun):
            return True
        return not _never_ran(number) and self.rhythm(number).beat(self._clock()).ended_at is None

    def last(self, number: int) -> dict[str, Any]:
        """What a connection shows of its last run: one that a call began and that goes on, or else the newest."""
        beat = None if _never_ran(number) else self.rhythm(number).beat(self._clock())
        begun = next(reversed(self._begun.get(number, ())), None)
        if begun is not None and (beat is None or self._beat(begun).ended_at is None or begun.at >= beat.started_at):
            return _shown(self._read_begun(begun), begun.parameters)
        if beat is None:
            return {}
        parameters = Parameters(
            {"period": "2026-Q3", "entity": ["US01", "DE02"]}, {"sheetId": "sheet_2c4f", "startCell": "A1"}
        )
        return _shown(self._read(number, beat), parameters)

    def find(self, number: int, id: str) -> dict[str, Any] | None:
        """The ``ConnectionRunDto`` of this run of the connection."""
        for begun in self._begun.get(number, ()):
            if begun.id == id:
                return self._read_begun(begun)
        if _never_ran(number):
            return None
        rhythm, now = self.rhythm(number), self._clock()
        beats = (rhythm.beat(now, back) for back in range(_REMEMBERED))
        return next((self._read(number, beat) for beat in beats if _job_id(number, beat) == id), None)

    def _beat(self, begun: _Begun) -> Beat:
        progress = min(1.0, (self._clock() - begun.at) / begun.lasts_s) if begun.lasts_s > 0 else 1.0
        ended_at = begun.at + begun.lasts_s if progress >= 1 else None
        return Beat(0, begun.at, ended_at, begun.outcome, progress)

    def _read_begun(self, begun: _Begun) -> dict[str, Any]:
        read = self._read(begun.number, self._beat(begun))
        return read | {
            "jobId": begun.id,
            "createdBy": USERS[0],
            "sourceParameters": dict(begun.parameters.source),
            "destinationParameters": dict(begun.parameters.destination),
        }

    def _read(self, number: int, beat: Beat) -> dict[str, Any]:
        source, destination = sides(beat)
        run = {
            "connectionId": connection_id(number),
            "jobId": _job_id(number, beat),
            "workspaceId": WORKSPACE,
            "sourceWorkspaceId": WORKSPACE,
            "destinationWorkspaceId": WORKSPACE,
            "sourceStatus": source,
            "destinationStatus": destination,
            "created": iso(beat.started_at),
            "createdBy": USERS[number % len(USERS)],
            "updated": iso(beat.ended_at or self._clock()),
            "sourceParameters": {"period": "2026-Q3"},
            "destinationParameters": {"sheetId": "sheet_2c4f"},
            "sourceMetadata": {},
            "destinationMetadata": {},
        }
        return run | ({"error": _NOT_WRITABLE} if destination == "error" else {})


def _never_ran(number: int) -> bool:
    """Whether the connection runs only when it is told to."""
    return number % 10 == 9


def _job_id(number: int, beat: Beat) -> str:
    return native_id("job", number, beat.number)


def _shown(run: dict[str, Any], parameters: Parameters) -> dict[str, Any]:
    return {
        "updated": run["updated"],
        "lastRun": run,
        "lastRunBy": run["createdBy"],
        "lastRunDate": run["created"],
        "lastRunJobId": run["jobId"],
        "lastRunSourceParameters": dict(parameters.source),
        "lastRunDestinationParameters": dict(parameters.destination),
    }
