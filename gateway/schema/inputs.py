"""What mutations take: what is asked of the gateway, and of each provider its own record of what is wished for."""

import dataclasses
import datetime as dt
import enum
import inspect
from typing import Any, Optional, cast

import strawberry

from adapters import writing
from gateway.schema.connection import ConnectionRef
from gateway.schema.providers import PROVIDERS
from gateway.schema.records import input_type, word


class Given:
    """The base of all inputs; only what derives from it is in the schema."""

    dry_run: bool = strawberry.field(
        default=False, description="Only tell what would be sent and what would change; nothing is changed."
    )
    idempotency_key: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            "Asking again with this key and the same input answers what came of it the first time, for a day, and does "
            "nothing. Up to 255 characters; the header Idempotency-Key serves all mutations of a request."
        ),
    )


class GivenConnection(Given):
    """The base of inputs about one connection: by id or by reference."""

    id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The connection, by global id.")
    ref: ConnectionRef | None = strawberry.field(
        default=strawberry.UNSET, description="The connection, by its instance and the upstream's own id."
    )


def input_of(name: str, base: type, description: str, records: str = "", about: str = "") -> type:
    """An input type: the fields of ``base``, for each provider that has such a record one of its own, and what all
    inputs have."""
    annotations: dict[str, Any] = {}
    namespace: dict[str, Any] = {"__annotations__": annotations}
    for kind in reversed(base.__mro__[: base.__mro__.index(Given)]):
        _add_fields(kind, annotations, namespace)
    for provider in PROVIDERS.values():
        record = getattr(provider, records) if records else None
        if record is not None:
            annotations[provider.key] = Optional[input_type(record)]
            told = about.format(provider=provider.label)
            namespace[provider.key] = strawberry.field(default=strawberry.UNSET, description=told)
    _add_fields(Given, annotations, namespace)
    made: type = type(name, (), namespace)
    return strawberry.input(made, description=description)


def _add_fields(kind: type, annotations: dict[str, Any], namespace: dict[str, Any]) -> None:
    own = inspect.get_annotations(kind)
    annotations |= own
    namespace |= {name: kind.__dict__[name] for name in own}


def record(value: Any) -> Any:
    """What an input says as the adapter's own record; what was left out is left out there."""
    kind: Any = getattr(value.__class__, "__record__", None)
    if kind is not None:
        said = {name: getattr(value, name) for name in kind.__struct_fields__}
        return kind(**{name: record(item) for name, item in said.items() if item is not strawberry.UNSET})
    if isinstance(value, list):
        return tuple(map(record, cast("list[Any]", value)))
    return value


def plain(value: Any) -> Any:
    """An input as data that is written the same whenever it says the same, without its key."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(item) for item in cast("list[Any]", value)]
    if dataclasses.is_dataclass(value):
        names = (field.name for field in dataclasses.fields(value) if field.name != "idempotency_key")
        return {name: plain(item) for name in names if (item := getattr(value, name)) is not strawberry.UNSET}
    return value


class _Create(Given):
    instance: str = strawberry.field(description="The name of the instance to create it in.")


class _Update(GivenConnection):
    expected_updated_at: dt.datetime | None = strawberry.field(
        default=strawberry.UNSET,
        description="Only if it was last changed then, as `updatedAt` says; for upstreams that tell.",
    )


class _Enable(GivenConnection):
    enabled: bool = strawberry.field(description="Whether it is to run by its schedule.")


class _RunMany(Given):
    ids: list[strawberry.ID] = strawberry.field(
        description="The connections, by global id; up to as many as a page has."
    )


class _Cancel(GivenConnection):
    run_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The run, by the upstream's own id; without it the one that goes on."
    )


class _Check(Given):
    instance: str = strawberry.field(description="The name of its instance.")
    side: writing.Side = strawberry.field(
        description="Whether it is a source or a destination.", graphql_type=word(writing.Side)
    )
    endpoint_id: strawberry.ID = strawberry.field(description="The upstream's own id of it.")


class _Discover(Given):
    instance: str = strawberry.field(description="The name of its instance.")
    source_id: strawberry.ID = strawberry.field(description="The upstream's own id of the source.")
    anew: bool = strawberry.field(
        default=False, description="Whether to look again where the source has not changed since the last time."
    )


ONE = "One connection, by id or by reference."
CreateConnectionInput: Any = input_of(
    "CreateConnectionInput",
    _Create,
    "A connection to create.",
    "create",
    "The connection, where the instance is {provider}.",
)
UpdateConnectionInput: Any = input_of(
    "UpdateConnectionInput",
    _Update,
    "What is to change of a connection: what is left out stays as it is, and null clears.",
    "update",
    "What is to change, of a connection of {provider}.",
)
SetConnectionEnabledInput: Any = input_of("SetConnectionEnabledInput", _Enable, ONE)
RunConnectionInput: Any = input_of(
    "RunConnectionInput", GivenConnection, ONE, "start", "What the run is told, of a connection of {provider}."
)
RunConnectionsInput: Any = input_of(
    "RunConnectionsInput",
    _RunMany,
    "Several connections.",
    "start",
    "What the runs of {provider} are told, all of them.",
)
CancelRunInput: Any = input_of("CancelRunInput", _Cancel, "A run of one connection.")
ResetConnectionInput: Any = input_of("ResetConnectionInput", GivenConnection, ONE)
DeleteConnectionInput: Any = input_of("DeleteConnectionInput", GivenConnection, ONE)
CheckEndpointInput: Any = input_of("CheckEndpointInput", _Check, "A source or a destination.")
DiscoverSchemaInput: Any = input_of("DiscoverSchemaInput", _Discover, "A source.")
