"""The jobs of the imitation of Airbyte: those that come by themselves, by the clock, and those that calls began."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from adapters.airbyte.demo_data import OUTCOMES, PLANTED, connection_id, failure_reason, never_synced
from adapters.imitation import Beat, Rhythm

SYNC, RESET, REFRESH, CLEAR = "sync", "reset_connection", "refresh", "clear"
EARLIER_TYPES = (SYNC, RESET)
TYPES = (*EARLIER_TYPES, REFRESH, CLEAR)
SYNCING = (SYNC, REFRESH)
"""What counts as a sync: a refresh brings all data anew. The others clear what there is."""
_FIRST_JOB = 9_007_199_254_740_992
"""Beyond 32 bits and beyond what a double holds exactly: ids of real jobs are int64."""
_JOBS = 10_000_000
"""How far the first job ids of two connections are apart."""
_FIRST_BEGUN = 2 * _FIRST_JOB
"""Jobs that calls began have ids above all others, each above the one before."""


class Job(NamedTuple):
    """A job of the connection with this number, as it is at some moment."""

    id: int
    number: int
    type: str
    beat: Beat
    streams: Sequence[dict[str, Any]] = ()

    @property
    def status(self) -> str:
        """Pending for a moment, then running, then whatever its outcome is."""
        if self.has_ended:
            return self.beat.outcome
        return "pending" if self.beat.progress < 0.1 else "running"

    @property
    def has_ended(self) -> bool:
        return self.beat.ended_at is not None

    def read(self, now: float) -> dict[str, Any]:
        """A ``JobRead``."""
        started_at = int(self.beat.started_at)
        read: dict[str, Any] = {
            "id": self.id,
            "configType": self.type,
            "configId": connection_id(self.number),
            "createdAt": started_at,
            "startedAt": started_at,
            "updatedAt": int(self.beat.ended_at or now),
            "status": self.status,
        }
        if self.type == SYNC:
            return read
        name = "refresh" if self.type == REFRESH else "reset"
        return read | {f"{name}Config": {f"streamsTo{name.title()}": list(self.streams)}}

    def with_attempts(self, now: float) -> dict[str, Any]:
        """A ``JobWithAttemptsRead``, as lists have it."""
        return {"job": self.read(now), "attempts": self._attempts(now)}

    def info(self, now: float) -> dict[str, Any]:
        """A ``JobInfoRead``, as a single one is answered: each attempt beside its logs."""
        lines = [f"connecting with {PLANTED}", f"{self.type} is {self.status}"]
        attempts = [{"attempt": attempt, "logs": {"logLines": lines}} for attempt in self._attempts(now)]
        return {"job": self.read(now), "attempts": attempts}

    def _attempts(self, now: float) -> list[dict[str, Any]]:
        """One ``AttemptRead``, or none while the job is pending."""
        if self.status == "pending":
            return []
        done = 0 if self.type not in SYNCING else int(self.beat.progress * (1_000_000 + self.number * 250_000_000))
        attempt: dict[str, Any] = {
            "id": 0,
            "status": {"cancelled": "failed"}.get(self.status, self.status),
            "createdAt": int(self.beat.started_at),
            "updatedAt": int(self.beat.ended_at or now),
            "recordsSynced": done,
            "bytesSynced": done * 212,
        }
        if self.beat.ended_at is not None:
            attempt["endedAt"] = int(self.beat.ended_at)
        if self.status == "failed":
            attempt["failureSummary"] = {"failures": [failure_reason(self.beat)], "partialSuccess": True}
        return [attempt]


class _Begun(msgspec.Struct):
    """What a call began."""

    id: int
    number: int
    type: str
    at: float
    lasts_s: float
    streams: Sequence[dict[str, Any]]


class Jobs:
    """All jobs of all connections, by the number of each. ``is_active`` says whether a connection is."""

    def __init__(self, clock: Callable[[], float], is_active: Callable[[int], bool]) -> None:
        self._clock = clock
        self._is_active = is_active
        self._begun: dict[int, _Begun] = {}
        self._begun_of: dict[int, list[_Begun]] = {}
        self._cancelled_at: dict[int, float] = {}
        self._last_beats: dict[int, int] = {}
        self.quiet: set[int] = set()
        """Connections that never sync by themselves: those that calls created."""

    # --- by themselves ---

    def _has_rhythm(self, number: int) -> bool:
        return number not in self.quiet and not never_synced(number)

    def _beat(self, number: int, back: int = 0) -> Beat:
        """Every sixth connection syncs each two minutes; the others by the hour. Inactive ones stopped a day ago, or
        when a call switched them off."""
        quick = number % 6 == 1
        rhythm = Rhythm(
            period_s=120.0 if quick else 3600.0 * (1 + number % 8),
            lasts_s=50.0 if quick else 60.0 + 5 * number,
            phase_s=11.0 * number,
            outcomes=OUTCOMES if quick else (OUTCOMES[number % len(OUTCOMES)],),
        )
        now, last = self._clock(), self._last_beats.get(number)
        if last is not None:
            return rhythm.beat(now, back + max(0, rhythm.beat(now).number - last))
        return rhythm.beat(now if self._is_active(number) else now - 86_400, back)

    def _by_itself(self, number: int, back: int = 0) -> Job:
        beat = self._beat(number, back)
        id = _FIRST_JOB + number * _JOBS + beat.number
        return Job(id, number, SYNC, self._unless_cancelled(id, beat))

    def halt(self, number: int) -> None:
        """The connection syncs by itself no more. What runs goes on to its end."""
        if self._has_rhythm(number):
            self._last_beats.setdefault(number, self._beat(number).number)

    # --- by calls ---

    def begin(self, number: int, type: str, lasts_s: float, streams: Sequence[dict[str, Any]] = ()) -> Job:
        begun = _Begun(_FIRST_BEGUN + len(self._begun), number, type, self._clock(), lasts_s, streams)
        self._begun[begun.id] = begun
        self._begun_of.setdefault(number, []).append(begun)
        return self._as_it_is(begun)

    def cancel(self, job: Job) -> None:
        self._cancelled_at[job.id] = self._clock()

    def _as_it_is(self, begun: _Begun) -> Job:
        past_s = self._clock() - begun.at
        progress = min(1.0, past_s / begun.lasts_s) if begun.lasts_s > 0 else 1.0
        ended_at = begun.at + begun.lasts_s if progress >= 1 else None
        beat = Beat(0, begun.at, ended_at, "succeeded", progress)
        return Job(begun.id, begun.number, begun.type, self._unless_cancelled(begun.id, beat), begun.streams)

    def _unless_cancelled(self, id: int, beat: Beat) -> Beat:
        at = self._cancelled_at.get(id)
        return beat if at is None else beat._replace(ended_at=at, outcome="cancelled")

    # --- both ---

    def of(self, number: int, types: Sequence[str] = TYPES) -> Iterator[Job]:
        """The connection's jobs of these types, the newest first."""
        begun = (self._as_it_is(one) for one in reversed(self._begun_of.get(number, ())) if one.type in types)
        own = (self._by_itself(number, back) for back in range(self._count(number, types)))
        return heapq.merge(begun, own, key=lambda job: -job.beat.started_at)

    def total(self, number: int, types: Sequence[str] = TYPES) -> int:
        return self._count(number, types) + sum(one.type in types for one in self._begun_of.get(number, ()))

    def _count(self, number: int, types: Sequence[str]) -> int:
        return 30 + number if SYNC in types and self._has_rhythm(number) else 0

    def running(self, number: int) -> Job | None:
        """A job of the connection that has not ended: one that a call began, rather than one by itself."""
        begun = [self._as_it_is(one) for one in reversed(self._begun_of.get(number, ()))]
        own = [self._by_itself(number)] if self._has_rhythm(number) else []
        return next((job for job in (*begun, *own) if not job.has_ended), None)

    def latest_sync(self, number: int) -> Job | None:
        """The sync that a call began and that goes on; else the newest."""
        if number not in self._begun_of:  # nearly all, in lists of any length
            return self._by_itself(number) if self._has_rhythm(number) else None
        job = self.running(number)
        return job if job is not None and job.type in SYNCING else next(self.of(number, SYNCING), None)

    def latest(self, number: int) -> dict[str, Any]:
        """What a connection shows of its jobs. A reset makes it syncing, and is not its latest sync."""
        sync = self.latest_sync(number)
        if sync is None and number not in self._begun_of:
            return {}
        # Upstream a pending job counts as well; those by themselves never did so here, and others rely on that.
        running = self.running(number) if number in self._begun_of else None
        is_syncing = running is not None and running.id >= _FIRST_BEGUN
        shown: dict[str, Any] = {"isSyncing": is_syncing or (sync is not None and sync.status == "running")}
        if sync is not None:
            shown |= {"latestSyncJobCreatedAt": int(sync.beat.started_at), "latestSyncJobStatus": sync.status}
        return shown

    def find(self, id: int, below: int) -> Job | None:
        """The job with this id, of a connection with a number less than ``below``."""
        if id in self._begun:
            return self._as_it_is(self._begun[id])
        # Quick connections have had more runs than there are ids between two connections.
        guess = (id - _FIRST_JOB) // _JOBS
        for number in filter(self._has_rhythm, range(max(0, guess - 3), min(below, guess + 2))):
            back = self._by_itself(number).id - id
            if 0 <= back < self._count(number, TYPES):
                return self._by_itself(number, back)
        return None
