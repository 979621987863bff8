"""Inputs for Airbyte as clients may send them, drawn at random, and what Airbyte's specification makes of them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from adapters.airbyte.demo import WORKSPACES, workspace_id
from adapters.airbyte.demo_catalog import TABLES, operation_id
from adapters.airbyte.demo_data import end_id

Json: TypeAlias = Any
Given: TypeAlias = dict[str, Json]

WORKSPACE = workspace_id(next(iter(WORKSPACES)))
SOURCES = [end_id("source", WORKSPACE, place) for place in range(30)]
DESTINATIONS = [end_id("destination", WORKSPACE, place) for place in range(10)]
OPERATIONS = [operation_id(number) for number in range(30) if number % 4 != 3]
UNITS = ("MINUTES", "HOURS", "DAYS", "WEEKS", "MONTHS")
CRONS = ("0 0 */6 * * ?", "0 30 2 ? * 2-6", "15 0/10 8-18 ? * MON-FRI", "0 0 12 L * ? 2027", "0 0 0 1 1 ? *")
ZONES = ("UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata")
SPECIFIED_WRITE_MODES = ("APPEND", "OVERWRITE", "APPEND_DEDUP")
LATER_WRITE_MODES = ("OVERWRITE_DEDUP", "UPDATE", "SOFT_DELETE")
SPECIFIED_PREFERENCES = ("IGNORE", "DISABLE")
LATER_PREFERENCES = ("PROPAGATE_COLUMNS", "PROPAGATE_FULLY")

LETTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(LETTERS, max_size=12)
NAMES = st.text(LETTERS, min_size=1, max_size=24).filter(str.strip) | st.sampled_from(
    ("在庫マスタ → BigQuery", "مبيعات المتجر", "Web-Analytik Köln 🚚", "a'b\"c\\d\u0000e")
)
UUIDS = st.uuids().map(str)
PATHS = st.lists(st.text(LETTERS, min_size=1, max_size=8), min_size=1, max_size=3)
WHOLE = st.integers(1, 2**31 - 1)
SCHEMAS = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


def with_some(required: Mapping[str, SearchStrategy[Json]], **optional: SearchStrategy[Json]) -> SearchStrategy[Given]:
    """What is required, and of what is not some: given, given as null, or left out."""
    return st.fixed_dictionaries(dict(required), optional={name: st.none() | of for name, of in optional.items()})


def numbers(of: SearchStrategy[int]) -> SearchStrategy[int | str]:
    """A `BigInt`, as either of its spellings."""
    return of | of.map(str)


# --- streams


@st.composite
def streams(draw: st.DrawFn) -> list[Given]:
    """Streams that each source of the demo has, each once, with everything that can be said of them."""
    names = draw(st.lists(st.sampled_from(TABLES), unique=True, max_size=3))
    return [draw(configured(name)) for name in names]


@st.composite
def configured(draw: st.DrawFn, name: str) -> Given:
    stream = draw(
        with_some(
            {"name": st.just(name), "namespace": st.just("public")},
            jsonSchema=SCHEMAS,
            supportedSyncModes=st.lists(st.sampled_from(("FULL_REFRESH", "INCREMENTAL")), max_size=2),
            sourceDefinedCursor=st.booleans(),
            defaultCursorField=PATHS,
            sourceDefinedPrimaryKey=st.lists(PATHS, max_size=2),
        )
    )
    config = draw(
        with_some(
            {
                "syncMode": st.sampled_from(("FULL_REFRESH", "INCREMENTAL")),
                "destinationSyncMode": st.sampled_from(SPECIFIED_WRITE_MODES + LATER_WRITE_MODES),
            },
            cursorField=PATHS,
            primaryKey=st.lists(PATHS, max_size=2),
            aliasName=TEXTS,
            selected=st.booleans(),
            suggested=st.booleans(),
            fieldSelectionEnabled=st.booleans(),
            selectedFields=st.lists(PATHS.map(lambda path: {"fieldPath": path}), max_size=2),
        )
    )
    if config["destinationSyncMode"].endswith("DEDUP") and not stream.get("sourceDefinedPrimaryKey"):
        config["primaryKey"] = config.get("primaryKey") or [["id"]]
    if config.get("fieldSelectionEnabled") and config.get("selectedFields") is None:
        config["selectedFields"] = []
    return {"stream": stream, "config": config}


# --- schedules


INTERVALS = st.fixed_dictionaries({"units": numbers(WHOLE), "timeUnit": st.sampled_from(UNITS)})
CRON = st.fixed_dictionaries({"cronExpression": st.sampled_from(CRONS), "cronTimeZone": st.sampled_from(ZONES)})
NO_DATA = st.sampled_from(({}, {"scheduleData": None}, {"scheduleData": {}}, {"scheduleData": {"cron": None}}))


@st.composite
def schedules(draw: st.DrawFn) -> Given:
    """None, the old form, or the new one of any type."""
    match draw(st.sampled_from(("NONE", "LEGACY", "MANUAL", "BASIC", "CRON"))):
        case "NONE":
            return {}
        case "LEGACY":
            return {"schedule": draw(INTERVALS)}
        case "MANUAL":
            return {"scheduleType": "MANUAL", **draw(NO_DATA)}
        case "BASIC":
            return {"scheduleType": "BASIC", "scheduleData": {"basicSchedule": draw(INTERVALS)}}
        case _:
            return {"scheduleType": "CRON", "scheduleData": {"cron": draw(CRON), "basicSchedule": None}}


# --- operations


CLOUD = st.fixed_dictionaries({"accountId": numbers(st.integers(0, 2**60)), "jobId": numbers(st.integers(0, 2**60))})
CONFIGURATIONS = st.one_of(
    with_some(
        {"operatorType": st.just("NORMALIZATION")}, normalization=with_some({}, option=st.just("basic")), dbt=st.none()
    ),
    with_some(
        {
            "operatorType": st.just("DBT"),
            "dbt": with_some(
                {"gitRepoUrl": st.just("https://git.example.com/models.git")},
                gitRepoBranch=TEXTS,
                dockerImage=TEXTS,
                dbtArguments=st.just("run --select orders"),
            ),
        }
    ),
    with_some(
        {
            "operatorType": st.just("WEBHOOK"),
            "webhook": with_some(
                {},
                webhookConfigId=UUIDS,
                webhookType=st.just("dbtCloud"),
                dbtCloud=CLOUD,
                executionUrl=st.just("https://hooks.example.com/after"),
                executionBody=TEXTS,
            ),
        }
    ),
)
OPERATIONS_TO_MAKE = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "workspaceId": st.just(WORKSPACE), "operatorConfiguration": CONFIGURATIONS},
        optional={"operationId": st.none()},
    ),
    max_size=3,
)


# --- connections


COMMON: Mapping[str, SearchStrategy[Json]] = {
    "name": NAMES,
    "namespaceDefinition": st.sampled_from(("SOURCE", "DESTINATION", "CUSTOMFORMAT")),
    "namespaceFormat": TEXTS | st.just("raw_${SOURCE_NAMESPACE}"),
    "prefix": TEXTS,
    "syncCatalog": st.fixed_dictionaries({"streams": streams()}),
    "resourceRequirements": with_some(
        {}, **dict.fromkeys(("cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit"), TEXTS)
    ),
    "operations": OPERATIONS_TO_MAKE,
    "sourceCatalogId": UUIDS,
    "geography": st.sampled_from(("auto", "us", "eu")),
    "nonBreakingChangesPreference": st.sampled_from(SPECIFIED_PREFERENCES + LATER_PREFERENCES),
}
STATUSES = st.sampled_from(("ACTIVE", "INACTIVE"))


@st.composite
def creations(draw: st.DrawFn) -> Given:
    """An ``AirbyteConnectionCreate``."""
    required = {
        "sourceId": st.sampled_from(SOURCES),
        "destinationId": st.sampled_from(DESTINATIONS),
        "status": STATUSES,
    }
    operation_ids = st.lists(st.sampled_from(OPERATIONS), unique=True, max_size=3)
    return draw(with_some(required, **COMMON, operationIds=operation_ids)) | draw(schedules())


@st.composite
def changes(draw: st.DrawFn) -> Given:
    """An ``AirbyteConnectionUpdate`` of something, without null."""
    optional = {**COMMON, "status": STATUSES, "notifySchemaChanges": st.booleans()}
    given = draw(st.fixed_dictionaries({}, optional=optional)) | draw(schedules())
    given = {name: value for name, value in given.items() if value is not None}
    if "syncCatalog" in given or (given and draw(st.booleans())):
        given["skipReset"] = draw(st.booleans())
    return given or {"name": draw(NAMES)}


# --- as the specification has it, told a second time


WORDS = frozenset(
    (
        "namespaceDefinition",
        "scheduleType",
        "status",
        "nonBreakingChangesPreference",
        "timeUnit",
        "syncMode",
        "destinationSyncMode",
        "supportedSyncModes",
        "operatorType",
    )
)
"""Fields that hold words, which are in lower case on the wire."""
WHOLE_NUMBERS = frozenset(("units", "accountId", "jobId"))
SNAKE = {
    "cpuRequest": "cpu_request",
    "cpuLimit": "cpu_limit",
    "memoryRequest": "memory_request",
    "memoryLimit": "memory_limit",
}


def on_the_wire(given: Json, name: str = "") -> Json:
    """The body that an input is to become: Airbyte's names and spellings, and nothing of what is null."""
    if name == "jsonSchema":
        return given
    if isinstance(given, dict):
        items = {key: on_the_wire(value, key) for key, value in given.items() if value is not None}
        return {SNAKE.get(key, key): value for key, value in items.items()}
    if isinstance(given, list):
        return [on_the_wire(item, name) for item in given]
    if name in WORDS:
        return given.lower()
    return int(given) if name in WHOLE_NUMBERS else given
