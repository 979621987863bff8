"""The schema as people read it: printed, reviewed, and described to the last enum value."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    build_schema,
    is_introspection_type,
    is_specified_scalar_type,
)

from adapters import model
from gateway.schema.connection import Connection
from gateway.schema.providers import PROVIDERS
from gateway.schema.schema import build, client_sdl

SCHEMA = build()
GRAPH = SCHEMA._schema
COMPUTED = {"can", "freshness", "instance", "runs"}
"""Fields of `Connection` with a resolver; all others read the record's attribute of the same name."""


def own_types() -> Iterator[GraphQLNamedType]:
    """All types but GraphQL's own and those that only a federation router asks for."""
    for kind in GRAPH.type_map.values():
        if not (is_introspection_type(kind) or is_specified_scalar_type(kind) or "_" in kind.name):
            yield kind


def elements() -> Iterator[tuple[str, str | None]]:
    """Everything that can be described, by a name that tells where it is, and its description."""
    for kind in own_types():
        yield kind.name, kind.description
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{kind.name}.{name}", value.description) for name, value in kind.values.items())
        if isinstance(kind, GraphQLInputObjectType):
            yield from ((f"{kind.name}.{name}", field.description) for name, field in kind.fields.items())
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in kind.fields.items():
                if not name.startswith("_"):
                    yield f"{kind.name}.{name}", field.description
                    for argument, of in field.args.items():
                        yield f"{kind.name}.{name}({argument})", of.description


def test_everything_is_described():
    undescribed = [place for place, description in elements() if not (description or "").strip()]
    assert undescribed == []
    assert len(list(elements())) > 300


def test_the_graph_says_what_it_is():
    assert GRAPH.description
    assert build_schema(client_sdl(SCHEMA)).description == GRAPH.description


def test_what_routers_ask_for_comes_last():
    assert list(GRAPH.type_map["Query"].fields)[-2:] == ["_entities", "_service"]


def test_descriptions_are_sentences():
    unfinished = [place for place, description in elements() if (description or ".").rstrip()[-1] not in ".)"]
    assert unfinished == []


def test_the_printed_schema_is_the_one_in_the_repository():
    printed = (Path(__file__).parents[1] / "schema.graphql").read_text(encoding="utf-8")
    assert client_sdl(SCHEMA) + "\n" == printed, "run: gateway schema > schema.graphql"


def test_both_printed_schemas_are_valid_sdl():
    clients = build_schema(client_sdl(SCHEMA))
    assert not [name for name in clients.type_map if "_" in name and not name.startswith("__")]
    assert "_entities" not in clients.query_type.fields
    build_schema(SCHEMA.as_str(), assume_valid_sdl=True)  # its @link is the router's business


def test_a_connections_fields_are_those_of_its_record():
    declared = {field.python_name for field in Connection.__strawberry_definition__.fields}
    assert declared - COMPUTED == set(model.Connection.__struct_fields__) - COMPUTED


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda provider: provider.key)
def test_every_provider_has_its_details_and_its_word(provider):
    details = GRAPH.type_map[provider.details.__name__]
    assert isinstance(details, GraphQLObjectType)
    assert [field.name for field in msgspec.structs.fields(provider.details)] == [
        field.extensions["strawberry-definition"].python_name for field in details.fields.values()
    ]
    assert details in GRAPH.type_map["ConnectionDetails"].types
    assert provider.key.upper() in GRAPH.type_map["Provider"].values


def test_every_input_of_a_provider_is_in_the_schema():
    records = [
        record for provider in PROVIDERS.values() for record in (provider.create, provider.update, provider.start)
    ]
    assert all(record.__name__ in GRAPH.type_map for record in records if record is not None)


def test_nothing_that_can_be_null_upstream_is_non_null_by_accident():
    """Whatever needs an upstream's call can fail, and must not take its siblings with it."""
    query = GRAPH.query_type.fields
    assert str(query["node"].type) == "Node"
    assert str(query["nodes"].type) == "[Node]!"
    assert str(query["connection"].type) == "Connection"
    assert str(GRAPH.type_map["Connection"].fields["runs"].type) == "RunConnection"
