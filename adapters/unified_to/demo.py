"""A small imitation of Unified.to: sixty connections in three environments whose health is checked while you watch."""

import time
from collections.abc import Callable, Iterable
from http.client import responses
from typing import Any, Unpack

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.imitation import Collation, ListImitation, Rhythm, Unruliness, collated, iso, native_id
from adapters.values import instant

TOKEN = "demo-workspace-token-planted-secret-4b7d"
WORKSPACE = "64b7e0f1a2b3c4d5e6f70819"
ENVIRONMENTS = ("Production", "Production", "Sandbox", "Production", "Production", "Staging")
"""Two in three are in Production."""
PAGE_LIMIT = 100
UNKNOWN_PERMISSION = "telepathy_thought_read"
_DAY_S = 86_400.0
_SORTS = ("name", "updated_at", "created_at")

INTEGRATIONS = (
    ("hubspot", "HubSpot", "crm martech", "crm_company crm_contact crm_deal martech_list"),
    ("bamboohr", "BambooHR", "hris scim", "hris_employee hris_group hris_timeoff scim_users"),
    ("slack", "Slack", "messaging uc", "messaging_message messaging_channel uc_call"),
    ("greenhouse", "Greenhouse", "ats assessment", "ats_candidate ats_job ats_scorecard assessment_package"),
    ("quickbooks", "QuickBooks Online", "accounting payment", "accounting_invoice accounting_journal payment_payout"),
    ("zendesk", "Zendesk", "ticketing forms", "ticketing_ticket ticketing_customer forms_form"),
    ("freee", "freee 会計", "accounting", "accounting_account accounting_taxrate"),
    ("googledrive", "Google Drive", "storage auth", "storage_file"),
    ("shopify", "Shopify", "commerce shipping", "commerce_item commerce_inventory shipping_label"),
    ("stripe", "Stripe", "payment", "payment_payment payment_link payment_subscription"),
    ("openai", "OpenAI", "genai", "genai_model genai_prompt"),
    ("notion", "Notion", "kms task datastore", "kms_page kms_space task_task datastore_table"),
    ("clearbit", "Clearbit", "enrich", "enrich_person enrich_company"),
    ("okta", "Okta", "auth scim saml", "scim_users scim_groups"),
    ("canvas", "Canvas LMS", "lms", "lms_course lms_student"),
    ("github", "GitHub", "repo metadata", "repo_repository repo_pullrequest metadata_metadata"),
    ("googlecalendar", "Google Calendar", "calendar", "calendar_event calendar_busy"),
    ("checkr", "Checkr", "verification", "verification_package verification_request"),
    ("metaads", "Meta Ads", "ads analytics", "ads_campaign ads_report analytics_event"),
    ("docusign", "Docusign", "signing", "signing_document signing_template"),
    ("segment", "Twilio Segment", "cdp clubs", "cdp_profile clubs_member"),
    ("lattice", "Lattice", "performance hris", "performance_goal hris_employee"),
    ("legacycrm", "", "passthrough", "crm_lead"),  # no longer on offer: not in the list of integrations
)

CUSTOMERS = ("customer", "顧客", "заказчик", "πελάτης", "عميل", "org|auth0|66f1")
ACCOUNTS = ("Dana Ito", "伊藤 多奈", "Łukasz Żółć", "Zoë O'Brien (finance, EMEA)", "עדי לוי", "Ops 🚀")
HEALTH = (
    "healthy",
    "flipping",
    "recovered",
    "relapsed",
    "healthy",
    "paused",
    "broken",
    "flipping",
    "healthy",
    "new",
)
"""How a connection fares, in turn. Relapsed was healthy once; broken never was."""
_OUTCOMES = {"flipping": ("healthy", "healthy", "unhealthy"), "relapsed": ("unhealthy",), "broken": ("unhealthy",)}
_POINTERS = (
    ("auth_aws_arn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:planted-secret/"),
    ("auth_azure_keyvault_id", "https://vault.example.com/planted-secret-"),
    ("auth_gcp_secret_name", "projects/example/secrets/planted-secret-"),
    ("auth_hashi_vault_path", "kv/data/planted-secret-"),
    ("secretsmanager_id", "planted-secret-manager-"),
)


class UnifiedToImitation(ListImitation):
    """One workspace of Unified.to. ``collation`` is how it sorts by name, which it does not document.

    Its lists know no other end than a page shorter than asked for, so a ``page_cap`` below what is asked for hides the
    rest of the list from whoever takes that for the end.
    """

    def __init__(
        self,
        *,
        size: int = 60,
        clock: Callable[[], float] = time.time,
        collation: Collation = "folded",
        **unruliness: Unpack[Unruliness],
    ) -> None:
        super().__init__(size, clock, **unruliness)
        self.collation: Collation = collation
        self.app = Starlette(
            routes=[
                Route("/unified/connection", self._list),
                Route("/unified/connection/{id}", self._get),
                Route("/unified/integration", self._integrations),
            ],
            middleware=[Middleware(_Guard)],
        )
        self._born = clock()

    def settings(self, base_url: str) -> dict[str, Any]:
        environments = list(dict.fromkeys(ENVIRONMENTS))
        return {
            "provider": "unified_to",
            "base_url": base_url,
            "auth": {"token": TOKEN},
            "environments": environments,
        }

    def error_response(self, status: int) -> Response:
        return _error(status, "imitated failure")

    def id_of(self, number: int) -> str:
        return native_id("unified_to", number)[:24]

    def row(self, number: int) -> dict[str, Any]:
        """One ``Connection``. Texts that say nothing are missing, null or empty in turn, as upstream."""
        type, name, categories, _ = INTEGRATIONS[number % len(INTEGRATIONS)]
        row: dict[str, Any] = {
            "id": self.id_of(number),
            "created_at": self._created_at(number),
            "workspace_id": WORKSPACE,
            "integration_type": type,
            "external_xref": _external_ref(number),
            "permissions": _permissions(number),
            "categories": categories.split(),
            "environment": _environment(number),
            **self._auth(number),
            **self._health(number),
        }
        # Generations of the API side by side: a workspace shows one, a gateway meets all.
        if number % 3 == 0:
            row["cursors_cache"] = _cursors(number)
        elif number % 3 == 1:
            row["integration_name"] = name
        return _without(row, number)

    def rhythm(self, number: int) -> Rhythm:
        """Health is checked every three to seven minutes; those that flip are checked every minute."""
        kind = _kind(number)
        period_s = 60.0 if kind == "flipping" else 180.0 + 60.0 * (number % 5)
        return Rhythm(period_s, 0.5, 7.0 * number, _OUTCOMES.get(kind, ("healthy",)))

    def _created_at(self, number: int) -> str:
        return iso(self._born - _DAY_S * (500 - number * 7 % 480))

    def _updated_at(self, number: int, now: float) -> str:
        """When the row says it was updated, or nothing; as `row` has it, without making the row."""
        kind = _kind(number)
        if kind == "new":
            return ""
        at = self._stopped_at(number) if kind == "paused" else self.rhythm(number).beat(now).started_at
        return _without({"updated_at": iso(at)}, number).get("updated_at") or ""

    def _stopped_at(self, number: int) -> float:
        return self._born - _DAY_S * (1 + number % 9)

    def _health(self, number: int) -> dict[str, Any]:
        kind = _kind(number)
        if kind == "new":
            return {"last_healthy_at": None, "last_unhealthy_at": ""} if number % 20 == 19 else {}
        if kind == "paused":
            stopped = iso(self._stopped_at(number))
            return {"is_paused": True, "updated_at": stopped, "last_healthy_at": stopped}
        checked = self._checks(number)
        long_ago = iso(self._born - _DAY_S * (30 + number % 50))
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
        forms = (self._oauth2, self._oauth2, _oauth1, _token, _certificate, self._lapsed, _pointer, _nothing)
        return forms[number % len(forms)](number)

    def _oauth2(self, number: int) -> dict[str, Any]:
        # Renewed at each full hour.
        ends_at = 3600.0 * (self.clock() // 3600 + 1)
        auth = _secrets(number, "access_token", "refresh_token", "client_secret", "state")
        about = {"client_id": "demo-client", "app_id": str(number), "token_url": "https://auth.example.com/token"}
        account = {"name": _account(number), "emails": [f"dana.{number}@example.com"], "user_id": str(number)}
        ends = {"expires_in": 3600, "expiry_date": iso(ends_at), "meta": {"hub_domain": "example.com"}}
        return {"auth": auth | about | account | ends}

    def _lapsed(self, number: int) -> dict[str, Any]:
        """An access token that ended; in every other one the refresh token lives on."""
        refresh_s = self._born + _DAY_S * (60 if number % 16 == 5 else -20)
        ends = {"expiry_date": iso(self._born - _DAY_S), "refresh_token_expires_date": iso(refresh_s)}
        return {"auth": _secrets(number, "access_token", "refresh_token") | ends | {"name": _account(number)}}

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        if query.get("sort", "name") not in _SORTS or query.get("order", "desc") not in ("asc", "desc"):
            return _error(400, "sort and order take other words")
        if "updated_gte" in query and instant(query["updated_gte"]) is None:
            return _error(400, "updated_gte must be a date-time")
        window = _window(query)
        if isinstance(window, Response):
            return window
        page = self.page(self._asked_for(query), *window)
        return JSONResponse([self.row(number) for number in page.numbers])

    def _asked_for(self, query: QueryParams) -> list[int]:
        """The rows that the query asks for, in its order."""
        sort, since = query.get("sort", "updated_at"), instant(query.get("updated_gte"))
        rows = self._chosen(query, "created_at" if sort == "updated_at" else sort)
        if sort == "updated_at" or since is not None:
            now = self.clock()
            updated = {number: self._updated_at(number, now) for number in rows}
            if since is not None:
                rows = [number for number in rows if (at := instant(updated[number])) and at >= since]
            if sort == "updated_at":
                ids = self.column("id", self.id_of)
                rows = sorted(rows, key=lambda number: (updated[number], ids[number]))
        return rows if query.get("order") == "asc" else rows[::-1]

    def _chosen(self, query: QueryParams, sort: str) -> list[int]:
        """The rows that the query asks for as far as no clock is needed for that, ascending."""
        env, wanted = query.get("env", "Production"), set(query.getlist("categories"))
        rows = self.ordered((env, sort), lambda numbers: self._sorted(numbers, env, sort))
        if wanted:
            kinds = {kind for kind, of in enumerate(INTEGRATIONS) if wanted.issubset(of[2].split())}
            rows = [number for number in rows if number % len(INTEGRATIONS) in kinds]
        if "external_xref" in query:
            refs = self.column("external_xref", _shown_ref)
            rows = [number for number in rows if refs[number] == query["external_xref"]]
        return rows

    def _sorted(self, numbers: Iterable[int], env: str, sort: str) -> list[int]:
        """Those of an environment by name or created_at, then by id."""
        ids = self.column("id", self.id_of)
        names = [collated(name or type, self.collation) for type, name, _, _ in INTEGRATIONS]
        rows = (number for number in numbers if (_environment(number) or "Production") == env)

        def key(number: int) -> tuple[object, str]:
            first = names[number % len(names)] if sort == "name" else self._created_at(number)
            return first, ids[number]

        return sorted(rows, key=key)

    async def _get(self, request: Request) -> Response:
        number = self.number(request.path_params["id"], self.size)
        return _error(404, "Connection not found") if number is None else JSONResponse(self.row(number))

    async def _integrations(self, request: Request) -> Response:
        wanted = set(request.query_params.getlist("categories"))
        rows = [_integration(*of) for of in INTEGRATIONS if of[1] and wanted.issubset(of[2].split())]
        window = _window(request.query_params)
        return window if isinstance(window, Response) else JSONResponse(rows[window[0] :][: window[1]])


class _Guard:
    """Refuses calls without the workspace's token: a missing and a wrong one are answered alike."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        good = scope["type"] != "http" or Request(scope).headers.get("authorization") == f"Bearer {TOKEN}"
        await (self._app if good else _error(401, "Missing authentication"))(scope, receive, send)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "error": responses.get(status, ""), "message": message}, status)


def _window(query: QueryParams) -> tuple[int, int] | Response:
    """Offset and limit, or the refusal of what they cannot be."""
    try:
        limit, offset = int(query.get("limit", PAGE_LIMIT)), int(query.get("offset", 0))
    except ValueError:
        return _error(400, "limit and offset must be numbers")
    if not 1 <= limit <= PAGE_LIMIT or offset < 0:
        return _error(400, f"limit must be between 1 and {PAGE_LIMIT}, offset not negative")
    return offset, limit


def _integration(type: str, name: str, categories: str, _: str) -> dict[str, Any]:
    logo = None if type == "clearbit" else f"https://logos.example.com/{type}.svg"
    return {"type": type, "name": name, "categories": categories.split(), "logo_url": logo, "is_active": True}


def _environment(number: int) -> str | None:
    return None if number % 24 == 12 else ENVIRONMENTS[number % len(ENVIRONMENTS)]


def _shown_ref(number: int) -> str | None:
    """The external reference as the row has it: none where it says nothing."""
    return _without({"external_xref": _external_ref(number)}, number).get("external_xref")


def _kind(number: int) -> str:
    return HEALTH[number % len(HEALTH)]


def _external_ref(number: int) -> str:
    long = "/subsidiary/department/team" * 9 * (number % 13 == 12)
    return f"{CUSTOMERS[number % len(CUSTOMERS)]}-{1000 + number}{long}"


def _account(number: int) -> str:
    return ACCOUNTS[number // 2 % len(ACCOUNTS)] + ", on behalf of the shared service centre" * 5 * (number % 17 == 16)


def _permissions(number: int) -> list[str]:
    nouns = INTEGRATIONS[number % len(INTEGRATIONS)][3].split()
    writes = [f"{noun}_write" for noun in nouns] if number % 2 else []
    others = [["webhook"], ["auth_login", "webhook"], [], [UNKNOWN_PERMISSION]][number % 4]
    return [f"{noun}_read" for noun in nouns] + writes + others


def _secrets(number: int, *names: str) -> dict[str, Any]:
    return {name: f"planted-secret-{name}-{number}" for name in names}


def _oauth1(number: int) -> dict[str, Any]:
    return {"auth": _secrets(number, "token", "consumer_key", "consumer_secret", "key") | {"name": _account(number)}}


def _token(number: int) -> dict[str, Any]:
    positional = ["example-subdomain", f"planted-secret-positional-{number}"]
    return {"auth": _secrets(number, "token", "dev_api_key") | {"other_auth_info": positional, "name": ""}}


def _certificate(number: int) -> dict[str, Any]:
    pem = f"-----BEGIN PRIVATE KEY-----\nplanted-secret-pem-{number}\n-----END PRIVATE KEY-----"
    return {"auth": {"pem": pem, "name": None, "expiry_date": None, "meta": _secrets(number, "tenant_password")}}


def _pointer(number: int) -> dict[str, Any]:
    name, value = _POINTERS[number // 8 % len(_POINTERS)]
    return {name: f"{value}{number}"}


def _nothing(number: int) -> dict[str, Any]:
    return {"auth": None, "auth_aws_arn": ""} if number % 16 == 7 else {}


def _cursors(number: int) -> list[dict[str, Any]]:
    if number % 2 == 0:
        return []
    return [
        {"type": "crm_contact", "operation": "list", "value": str(1000 + number), "display": "page 4"},
        {"$ref": "next", "access_token": f"planted-secret-cursor-{number}"},
    ]


def _without(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The row with a text missing, null or empty in every seventh."""
    if number % 7 != 6:
        return row
    name = ("external_xref", "updated_at", "external_xref", "workspace_id")[number // 7 % 4]
    rest = {key: value for key, value in row.items() if key != name}
    return (rest, rest | {name: None}, rest | {name: ""})[number // 7 % 3]
