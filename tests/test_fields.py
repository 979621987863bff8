"""Every field of the five source models has a place in the graph, and is really read from there.

Two upstream records that differ in a single field are served over HTTP, each as an instance of its own, and must be
told apart at the place that `Provider.source_models` names for that field.
"""

import contextlib
import functools
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import graphql
import httpx
import pytest
from graphql import GraphQLInputObjectType, GraphQLSchema, GraphQLUnionType
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.imitation import serve
from gateway.schema.providers import PROVIDERS
from scripts.generate import place
from tests.conftest import gateway_over

ROOT = Path(__file__).parent.parent
SPECIFICATIONS = ROOT.parent / "shared" / "upstreams"
PLANTED = "planted-secret-of-the-fields"
LEFT_ID, RIGHT_ID = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"

Record = dict[str, Any]
Pairs = Mapping[str, tuple[Any, Any]]
"""By field, two values that it can have."""


def _stream(name: str) -> Record:
    return {"stream": {"name": name}, "config": {"syncMode": "incremental", "destinationSyncMode": "append"}}


def _operation(name: str) -> Record:
    return {"operationId": "o", "name": name, "operatorConfiguration": {"operatorType": "normalization"}}


def _added(stream: str) -> Record:
    return {"transformType": "add_stream", "streamDescriptor": {"name": stream}}


LIST_ITEM: Pairs = {
    "connectionId": (LEFT_ID, RIGHT_ID),
    "name": ("Orders", "Billing"),
    "scheduleType": ("basic", "manual"),
    "scheduleData": (
        {"basicSchedule": {"timeUnit": "hours", "units": 24}},
        {"basicSchedule": {"timeUnit": "hours", "units": 12}},
    ),
    "status": ("active", "inactive"),
    "source": (
        {"sourceId": "s", "name": "Shop", "sourceName": "Postgres"},
        {"sourceId": "s", "name": "Archive", "sourceName": "Postgres"},
    ),
    "destination": (
        {"destinationId": "d", "name": "Lake", "destinationName": "BigQuery"},
        {"destinationId": "d", "name": "Lake", "destinationName": "Snowflake"},
    ),
    "latestSyncJobCreatedAt": (1_700_000_000, 1_700_000_001),
    "latestSyncJobStatus": ("succeeded", "failed"),
    "isSyncing": (False, True),
    "schemaChange": ("no_change", "breaking"),
}
READ: Pairs = {
    **LIST_ITEM,
    "namespaceDefinition": ("source", "customformat"),
    "namespaceFormat": ("raw", "raw_${SOURCE_NAMESPACE}"),
    "prefix": ("a_", "b_"),
    "sourceId": ("s", "t"),
    "destinationId": ("d", "e"),
    "syncCatalog": ({"streams": [_stream("orders")]}, {"streams": [_stream("refunds")]}),
    "schedule": ({"timeUnit": "hours", "units": 24}, {"timeUnit": "days", "units": 24}),
    "operationIds": (["o"], ["p"]),
    "operations": ([_operation("one")], [_operation("two")]),
    "resourceRequirements": ({"cpu_request": "0.25"}, {"cpu_request": "0.5"}),
    "catalogId": ("c", "k"),
    "catalogDiff": ({"transforms": [_added("returns")]}, {"transforms": [_added("claims")]}),
    "geography": ("eu", "us"),
    "notifySchemaChanges": (True, False),
    "nonBreakingChangesPreference": ("ignore", "disable"),
}
CREATE: Pairs = {
    "name": ("Orders", "Billing"),
    "namespaceDefinition": ("SOURCE", "DESTINATION"),
    "namespaceFormat": ("raw", "cooked"),
    "prefix": ("a_", "b_"),
    "sourceId": ("s", "t"),
    "destinationId": ("d", "e"),
    "operationIds": (["o"], ["p"]),
    "syncCatalog": ({"streams": []}, {"streams": [{"stream": {"name": "orders"}}]}),
    "schedule": ({"units": 1, "timeUnit": "HOURS"}, {"units": "2", "timeUnit": "HOURS"}),
    "scheduleType": ("MANUAL", "CRON"),
    "scheduleData": (
        {"cron": {"cronExpression": "0 0 * * * ?", "cronTimeZone": "UTC"}},
        {"basicSchedule": {"units": 1, "timeUnit": "DAYS"}},
    ),
    "status": ("ACTIVE", "INACTIVE"),
    "resourceRequirements": ({"cpuRequest": "0.25"}, {"cpuRequest": "0.5"}),
    "operations": (
        [],
        [{"name": "n", "workspaceId": "w", "operatorConfiguration": {"operatorType": "NORMALIZATION"}}],
    ),
    "sourceCatalogId": ("c", "k"),
    "geography": ("eu", "us"),
    "nonBreakingChangesPreference": ("IGNORE", "DISABLE"),
}
DTO: Pairs = {
    "connectionId": ("left", "right"),
    "created": ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    "createdBy": ("dana", "lee"),
    "description": ("Feeds the board deck.", "Feeds nothing."),
    "destinationId": ("d", "e"),
    "destinationType": ("document_chart", "spreadsheet"),
    "destinationWorkspaceId": ("w", "x"),
    "lastRun": (
        {"jobId": "j", "sourceStatus": "complete", "destinationStatus": "complete"},
        {"jobId": "j", "sourceStatus": "complete", "destinationStatus": "error"},
    ),
    "lastRunBy": ("dana", "lee"),
    "lastRunDate": ("2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"),
    "lastRunDestinationParameters": ({"cell": "A1"}, {"cell": "B2"}),
    "lastRunJobId": ("j", "k"),
    "lastRunSourceParameters": ({"period": "Q3"}, {"period": "Q4"}),
    "metadata": ({"region": "EMEA"}, {"region": "APAC"}),
    "name": ("Headcount", "Trial balance"),
    "sourceId": ("s", "t"),
    "sourceType": ("wdata_query", "report"),
    "sourceWorkspaceId": ("w", "x"),
    "updated": ("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"),
    "workspaceId": ("w", "x"),
}
CONNECTION: Pairs = {
    "auth": (None, {"access_token": PLANTED, "meta": {"api_key": PLANTED}, "other_auth_info": [PLANTED]}),
    "auth_aws_arn": (None, f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{PLANTED}"),
    "categories": (["crm"], ["hris"]),
    "created_at": ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    "cursors_cache": ([{"type": "crm_contact"}], [{"type": "crm_deal"}]),
    "environment": ("Production", "Sandbox"),
    "external_xref": ("customer-1", "customer-2"),
    "id": ("left", "right"),
    "integration_type": ("hubspot", "slack"),
    "is_paused": (False, True),
    "last_healthy_at": ("2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"),
    "last_unhealthy_at": ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    "permissions": (["crm_contact_read"], ["crm_contact_write"]),
    "updated_at": ("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"),
    "workspace_id": ("w", "x"),
}

MODELS: Mapping[str, tuple[str, Pairs]] = {
    "WebBackendConnectionListItem": ("airbyte", LIST_ITEM),
    "WebBackendConnectionRead": ("airbyte", READ),
    "WebBackendConnectionCreate": ("airbyte", CREATE),
    "ConnectionDto": ("workiva", DTO),
    "Connection": ("unified_to", CONNECTION),
}
BESIDE: Mapping[tuple[str, str], Record] = {
    ("WebBackendConnectionRead", "sourceId"): {"source": None},
    ("WebBackendConnectionRead", "destinationId"): {"destination": None},
    ("ConnectionDto", "lastRunBy"): {"lastRun": None},
    ("ConnectionDto", "lastRunDate"): {"lastRun": None},
    ("ConnectionDto", "lastRunJobId"): {"lastRun": None},
}
"""What must be missing for a field to be seen: a record that says the same in more detail, and comes first."""

WAYS: Mapping[str, tuple[str, ...]] = {
    "WebBackendConnectionListItem": ("list",),
    "WebBackendConnectionRead": ("get",),
    "ConnectionDto": ("list", "get"),
    "Connection": ("list", "get"),
}
"""By which calls a model is read."""

READS = [(model, field, way) for model, ways in WAYS.items() for field in MODELS[model][1] for way in ways]


class Upstream:
    """One upstream for each side, below its name, of whichever provider: it holds one record, and answers no call by
    which that record is not to be read."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.gateways: dict[str, str] = {}
        self.way = ""
        self.records: dict[str, list[Record]] = {}
        self.app = Starlette(
            routes=[
                Route("/{side}/v1/web_backend/connections/list", self._airbyte_list, methods=["POST"]),
                Route("/{side}/v1/web_backend/connections/get", self._airbyte_get, methods=["POST"]),
                Route("/{side}/v1/{rest:path}", self._airbyte_rest, methods=["POST"]),
                Route("/{side}/api/v1/connections", self._workiva_list),
                Route("/{side}/api/v1/connections/{id}", self._workiva_get),
                Route("/{side}/api/v1/{rest:path}", self._workiva_rest),
                Route("/{side}/unified/connection", self._unified_to_list),
                Route("/{side}/unified/connection/{id}", self._unified_to_get),
                Route("/{side}/unified/integration", lambda _: JSONResponse([])),
            ]
        )

    def _held(self, request: Request) -> list[Record]:
        return self.records.get(request.path_params["side"], [])

    def _answer(self, way: str, answer: Any) -> Response:
        return JSONResponse(answer) if self.way in ("", way) else JSONResponse({}, 404)

    async def _airbyte_list(self, request: Request) -> Response:
        return self._answer("list", {"connections": self._held(request)})

    async def _airbyte_get(self, request: Request) -> Response:
        wanted = (await request.json())["connectionId"]
        return self._answer("get", next(row for row in self._held(request) if row["connectionId"] == wanted))

    async def _airbyte_rest(self, _: Request) -> Response:
        lists = ("sources", "destinations", "sourceDefinitions", "destinationDefinitions")
        return JSONResponse({"workspaces": [{"workspaceId": "w"}], **{name: [] for name in lists}})

    async def _workiva_list(self, request: Request) -> Response:
        return self._answer("list", {"body": self._held(request)})

    async def _workiva_get(self, request: Request) -> Response:
        return self._answer("get", {"body": self._held(request)[0]})

    async def _workiva_rest(self, _: Request) -> Response:
        return JSONResponse({"body": []})

    async def _unified_to_list(self, request: Request) -> Response:
        wanted = request.query_params["env"]
        return self._answer("list", [row for row in self._held(request) if row["environment"] == wanted])

    async def _unified_to_get(self, request: Request) -> Response:
        return self._answer("get", self._held(request)[0])

    async def ask(self, provider: str, query: str, *, way: str, **records: Record | list[Record]) -> str:
        """The response to a query over the two sides, which hold these records and tell them that way; both ways where
        ``way`` is empty."""
        self.way = way
        self.records = {side: held if isinstance(held, list) else [held] for side, held in records.items()}
        return (await self.client.post(f"{self.gateways[provider]}/graphql", json={"query": query})).text


@pytest.fixture(scope="module")
async def upstream() -> AsyncGenerator[Upstream]:
    """The upstream, with a gateway for each provider whose two instances are its two sides."""
    async with contextlib.AsyncExitStack() as stack:
        upstream = Upstream(await stack.enter_async_context(httpx.AsyncClient(timeout=30)))
        url = await stack.enter_async_context(serve(upstream.app))
        for provider in PROVIDERS:
            options = {"environments": ["Production", "Sandbox"]} if provider == "unified_to" else {}
            sides = {
                side: {"provider": provider, "base_url": f"{url}/{side}", "retries": 0, **options}
                for side in ("left", "right")
            }
            upstream.gateways[provider] = await stack.enter_async_context(gateway_over(sides, inventory={"max_age": 0}))
        yield upstream


@functools.cache
def schema() -> GraphQLSchema:
    """The graph as it is reviewed."""
    return graphql.build_schema((ROOT / "schema.graphql").read_text(encoding="utf-8"))


def record(model: str, field: str, side: int) -> Record:
    """The model's record with everything in it, the left values everywhere but in ``field``."""
    pairs = MODELS[model][1]
    usual = {name: pair[0] for name, pair in pairs.items()}
    return usual | BESIDE.get((model, field), {}) | {field: pairs[field][side]}


def selection(path: str) -> str:
    """The selection of what is at a path below `Connection`, with all that is in it."""
    names = path.split(".")
    if names[0] == "details":
        names[1] = f"... on {names[1]}"
    return " { ".join(names) + whole(place(schema(), path)[-1].type) + " }" * (len(names) - 1)


def whole(kind: Any) -> str:
    """Everything in a type, as a selection; nothing for a leaf."""
    named = graphql.get_named_type(kind)
    if isinstance(named, GraphQLUnionType):
        inside = [f"... on {member.name}{whole(member)}" for member in named.types]
    else:
        fields = getattr(named, "fields", {})
        inside = [name + whole(field.type) for name, field in fields.items() if not field.args]
    return f" {{ {' '.join(inside)} }}" if inside else ""


def id_of(row: Record) -> str:
    """The native id in a record."""
    return row.get("connectionId") or row["id"]


def at(answer: Any, path: str) -> Any:
    """What an answer holds at a path."""
    names = [name for name in path.split(".") if name[0].islower()]  # a details type is a fragment, not a field
    for name in names:
        answer = answer[name]
    return answer


# --- the table ---


@pytest.mark.parametrize(("model", "count"), [*zip(MODELS, (11, 26, 17, 20, 15), strict=True)])
def test_every_field_of_the_source_models_has_a_place(model: str, count: int) -> None:
    provider, pairs = MODELS[model]
    assert PROVIDERS[provider].source_models[model].keys() == pairs.keys()
    assert len(pairs) == count


def test_no_source_model_is_left_out() -> None:
    assert {model for provider in PROVIDERS.values() for model in provider.source_models} == MODELS.keys()


def test_every_place_is_in_the_schema() -> None:
    for model, (provider, _) in MODELS.items():
        for path in PROVIDERS[provider].source_models[model].values():
            assert place(schema(), path)[-1].description, path


def test_the_documentation_has_a_row_for_each_field() -> None:
    documented = (ROOT / "docs" / "fields.md").read_text(encoding="utf-8")
    assert documented.count("\n| `") == 11 + 26 + 17 + 20 + 15
    for provider in PROVIDERS.values():
        for secret in provider.secrets:
            row = next(line for line in documented.splitlines() if line.startswith(f"| `{secret}` |"))
            assert "**Secret.**" in row


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("airbyte", "WebBackendConnectionListItem"),
        ("airbyte", "WebBackendConnectionRead"),
        ("airbyte", "WebBackendConnectionCreate"),
        ("workiva", "ConnectionDto"),
        ("unified", "Connection"),
    ],
)
def test_the_fields_are_those_of_the_upstreams_own_documents(file: str, model: str) -> None:
    specification = SPECIFICATIONS / f"{file}.openapi.json"
    if not specification.exists():
        pytest.skip("the upstreams' OpenAPI documents are not beside this checkout")
    schemas = json.loads(specification.read_text(encoding="utf-8"))["components"]["schemas"]
    assert schemas[model]["properties"].keys() == MODELS[model][1].keys()


# --- what is read ---


@pytest.mark.parametrize(("model", "field", "way"), READS)
async def test_a_field_is_read_from_its_upstream(upstream: Upstream, model: str, field: str, way: str) -> None:
    provider = MODELS[model][0]
    path = PROVIDERS[provider].source_models[model][field]
    left, right = (record(model, field, side) for side in (0, 1))
    assert [name for name in left if left[name] != right[name]] == [field]
    if way == "list":
        query = f"{{ connections(first: 5) {{ nodes {{ instance {{ name }} {selection(path)} }} }} }}"
    else:
        by_id = 'connection(ref: {{ instance: "{0}", nativeId: "{1}" }}) {{ {2} }}'
        sides = (("left", left), ("right", right))
        query = " ".join(f"{side}: " + by_id.format(side, id_of(row), selection(path)) for side, row in sides)
        query = f"{{ {query} }}"
    answer = json.loads(await upstream.ask(provider, query, way=way, left=left, right=right))
    assert "errors" not in answer
    data = answer["data"]
    if way == "list":
        data = {node["instance"]["name"]: node for node in data["connections"]["nodes"]}
    assert at(data["left"], path) != at(data["right"], path)


async def test_full_records_of_one_page_are_not_taken_for_one_another(upstream: Upstream) -> None:
    rows = [record("WebBackendConnectionRead", "connectionId", side) | {"prefix": f"{side}_"} for side in (0, 1)]
    query = "{ connections { nodes { nativeId details { ... on AirbyteConnection { prefix } } } } }"
    answer = json.loads(await upstream.ask("airbyte", query, way="", left=rows))
    nodes = answer["data"]["connections"]["nodes"]
    assert [(node["nativeId"], node["details"]["prefix"]) for node in nodes] == [(LEFT_ID, "0_"), (RIGHT_ID, "1_")]


@pytest.mark.parametrize("field", PROVIDERS["unified_to"].secrets)
@pytest.mark.parametrize("way", ["list", "get"])
async def test_a_secret_is_told_of_and_never_told(upstream: Upstream, field: str, way: str) -> None:
    row = record("Connection", field, 1)
    assert PLANTED in json.dumps(row)
    everything = whole(schema().type_map["Connection"])
    if way == "list":
        query = f"{{ connections(first: 1) {{ nodes{everything} }} }}"
    else:
        query = f'{{ connection(ref: {{ instance: "right", nativeId: "{id_of(row)}" }}){everything} }}'
    text = await upstream.ask("unified_to", query, way=way, right=row)
    assert "errors" not in json.loads(text)
    assert '"hasAuth":true' in text or '"hasSecretPointer":true' in text
    assert PLANTED not in text


# --- what is written ---


def create_input() -> GraphQLInputObjectType:
    kind = schema().type_map["AirbyteConnectionCreate"]
    assert isinstance(kind, GraphQLInputObjectType)
    return kind


@pytest.mark.parametrize("field", CREATE)
def test_a_field_of_create_is_taken_as_input(field: str) -> None:
    assert create_input().fields.keys() == CREATE.keys()
    required = {name: CREATE[name][0] for name in ("sourceId", "destinationId", "status")}
    left, right = (required | {field: value} for value in CREATE[field])
    for given in (left, right):
        graphql.utilities.validate_input_value(given, create_input(), on_error=_refused)
    taken = [graphql.utilities.coerce_input_value(given, create_input()) for given in (left, right)]
    assert taken[0] != taken[1]


def _refused(error: graphql.GraphQLError, path: list[str | int]) -> None:
    pytest.fail(f"{path}: {error}")


def test_create_needs_what_airbyte_needs() -> None:
    fields = create_input().fields
    required = {name for name, field in fields.items() if graphql.is_required_input_field(field)}
    assert required == {"sourceId", "destinationId", "status"}
