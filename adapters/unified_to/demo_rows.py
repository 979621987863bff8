"""The connections of the imitation of Unified.to, by number, with what was written to them."""

from collections.abc import Callable
from typing import Any, Unpack

from adapters.imitation import ListImitation, Rhythm, Unruliness, iso, native_id
from adapters.unified_to.demo_data import (
    DAY_S,
    INTEGRATIONS,
    OUTCOMES,
    WORKSPACE,
    account,
    certificate,
    cursors,
    environment_of,
    external_ref,
    kind_of,
    nothing,
    oauth1,
    permissions,
    pointer,
    secrets,
    shown_ref,
    token,
    without,
)

_NAMES = {type: name for type, name, _, _ in INTEGRATIONS}


class UnifiedToRows(ListImitation):
    """Connections by number, made when they are sent; ``written`` has what calls wrote to each, with ``updated_at``.
    Those numbered in ``created`` are nothing but what was written."""

    def __init__(self, size: int, clock: Callable[[], float], **unruliness: Unpack[Unruliness]) -> None:
        super().__init__(size, clock, **unruliness)
        self.written: dict[int, dict[str, Any]] = {}
        self.created: set[int] = set()
        self._born = clock()

    def id_of(self, number: int) -> str:
        return native_id("unified_to", number)[:24]

    def row(self, number: int) -> dict[str, Any]:
        """One ``Connection``."""
        written = self.written.get(number)
        if written is None:
            return self._natural(number)
        return self._base(number) | written | {"updated_at": self.updated_at(number, self.clock())}

    def _base(self, number: int) -> dict[str, Any]:
        """What a row that was written to has besides."""
        return {} if number in self.created else self._natural(number)

    def _natural(self, number: int) -> dict[str, Any]:
        """A row as nobody wrote it. Texts that say nothing are missing, null or empty in turn, as upstream."""
        type, name, categories, _ = INTEGRATIONS[number % len(INTEGRATIONS)]
        row: dict[str, Any] = {
            "id": self.id_of(number),
            "created_at": self.created_at(number),
            "workspace_id": WORKSPACE,
            "integration_type": type,
            "external_xref": external_ref(number),
            "permissions": permissions(number),
            "categories": categories.split(),
            "environment": environment_of(number),
            **self._auth(number),
            **self._health(number),
        }
        # Generations of the API side by side: a workspace shows one, a gateway meets all.
        if number % 3 == 0:
            row["cursors_cache"] = cursors(number)
        elif number % 3 == 1:
            row["integration_name"] = name
        return without(row, number)

    # --- what lists choose and sort by, as `row` has it, without making the row ---

    def _of(self, number: int, name: str, natural: Any) -> Any:
        written = self.written.get(number)
        return natural if written is None else written.get(name, None if number in self.created else natural)

    def environment(self, number: int) -> str:
        return self._of(number, "environment", environment_of(number)) or "Production"

    def categories(self, number: int) -> list[str]:
        return self._of(number, "categories", INTEGRATIONS[number % len(INTEGRATIONS)][2].split())

    def name(self, number: int) -> str:
        """The name of the connection's integration."""
        type: str = self._of(number, "integration_type", INTEGRATIONS[number % len(INTEGRATIONS)][0])
        return _NAMES.get(type) or type

    def reference(self, number: int) -> str | None:
        return self._of(number, "external_xref", shown_ref(number))

    def created_at(self, number: int) -> str:
        return self._of(number, "created_at", iso(self._born - DAY_S * (500 - number * 7 % 480)))

    def updated_at(self, number: int, now: float) -> str:
        """When the row says it was updated, or nothing."""
        natural = "" if number in self.created else self._checked_at(number, now)
        return max(natural, self._of(number, "updated_at", ""))

    def _checked_at(self, number: int, now: float) -> str:
        kind = kind_of(number)
        if kind == "new":
            return ""
        at = self._stopped_at(number) if kind == "paused" else self.rhythm(number).beat(now).started_at
        return without({"updated_at": iso(at)}, number).get("updated_at") or ""

    # --- health and credentials ---

    def rhythm(self, number: int) -> Rhythm:
        """Health is checked every three to seven minutes; those that flip are checked every minute."""
        kind = kind_of(number)
        period_s = 60.0 if kind == "flipping" else 180.0 + 60.0 * (number % 5)
        return Rhythm(period_s, 0.5, 7.0 * number, OUTCOMES.get(kind, ("healthy",)))

    def _stopped_at(self, number: int) -> float:
        return self._born - DAY_S * (1 + number % 9)

    def _health(self, number: int) -> dict[str, Any]:
        kind = kind_of(number)
        if kind == "new":
            return {"last_healthy_at": None, "last_unhealthy_at": ""} if number % 20 == 19 else {}
        if kind == "paused":
            stopped = iso(self._stopped_at(number))
            return {"is_paused": True, "updated_at": stopped, "last_healthy_at": stopped}
        checked = self._checks(number)
        long_ago = iso(self._born - DAY_S * (30 + number % 50))
        old = {"recovered": {"last_unhealthy_at": long_ago}, "relapsed": {"last_healthy_at": long_ago}}.get(kind, {})
        code = {"last_unhealthy_code": "401"} if kind == "broken" and number % 3 == 2 else {}
        return {"is_paused": False, "updated_at": max(checked.values()), **old, **checked, **code}

    def _checks(self, number: int) -> dict[str, str]:
        """When a check last passed and last failed, as far as this connection's rhythm has both."""
        rhythm = self.rhythm(number)
        beats = [rhythm.beat(self.clock(), back) for back in reversed(range(len(rhythm.outcomes)))]
        return {f"last_{beat.outcome}_at": iso(beat.started_at) for beat in beats}

    def _auth(self, number: int) -> dict[str, Any]:
        """Every form that credentials come in; each holds the words ``planted-secret``."""
        forms = (self._oauth2, self._oauth2, oauth1, token, certificate, self._lapsed, pointer, nothing)
        return forms[number % len(forms)](number)

    def _oauth2(self, number: int) -> dict[str, Any]:
        # Renewed at each full hour.
        ends_at = 3600.0 * (self.clock() // 3600 + 1)
        auth = secrets(number, "access_token", "refresh_token", "client_secret", "state")
        about = {"client_id": "demo-client", "app_id": str(number), "token_url": "https://auth.example.com/token"}
        owner = {"name": account(number), "emails": [f"dana.{number}@example.com"], "user_id": str(number)}
        ends = {"expires_in": 3600, "expiry_date": iso(ends_at), "meta": {"hub_domain": "example.com"}}
        return {"auth": auth | about | owner | ends}

    def _lapsed(self, number: int) -> dict[str, Any]:
        """An access token that ended; in every other one the refresh token lives on."""
        refresh_s = self._born + DAY_S * (60 if number % 16 == 5 else -20)
        ends = {"expiry_date": iso(self._born - DAY_S), "refresh_token_expires_date": iso(refresh_s)}
        return {"auth": secrets(number, "access_token", "refresh_token") | ends | {"name": account(number)}}
