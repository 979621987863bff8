"""The schema put together: a Federation 2 subgraph that is also a graph of its own."""

import functools
from collections.abc import Sequence
from typing import Any

import strawberry
from graphql import GraphQLNamedType, GraphQLObjectType, is_specified_scalar_type, print_type
from graphql.utilities.print_schema import print_schema_definition
from strawberry.federation.schema import FederationAny
from strawberry.types import Info

from gateway.context import Context
from gateway.errors import bad_input
from gateway.schema.connection import Connection
from gateway.schema.mutation import Mutation
from gateway.schema.query import Among, Found, Query, Sought, each, entity
from gateway.schema.scalars import CONFIG
from gateway.schema.selection import connection_fields

FEDERATION_VERSION = "2.7"
"""Old enough for every composer in use, and it has all that is used here."""

DESCRIPTION = "Connections of all configured upstreams, as one graph."
ROUTERS_FIELDS = ("_entities", "_service")


class Subgraph(strawberry.federation.Schema):
    """Strawberry's federation schema with references resolved through the loaders, each on its own."""

    async def entities_resolver(  # pyright: ignore[reportIncompatibleMethodOverride]  it may be one to be awaited
        self, info: Info[Context, None], representations: list[FederationAny]
    ) -> Sequence[Found]:
        """An answer for each reference: null where it leads nowhere, null and an error where its instance is sick."""
        fields = connection_fields(info)
        return await each(info, functools.partial(self._entity, info, fields), representations)

    def _entity(self, info: Info[Context, None], fields: frozenset[str], representation: Any, among: Among) -> Sought:
        name = representation.get("__typename") if isinstance(representation, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if name != Connection.__name__:
            raise bad_input("A representation must have the __typename of an entity of this graph.")
        return entity(info, representation, fields, among)


def build() -> Subgraph:
    """The schema over all providers that are installed."""
    schema = Subgraph(
        query=Query, mutation=Mutation, types=[Connection], config=CONFIG, federation_version=FEDERATION_VERSION
    )
    graph = schema._schema  # pyright: ignore[reportPrivateUsage]  Strawberry has no arguments for what follows
    graph.description = DESCRIPTION
    assert graph.query_type is not None  # noqa: S101  it was given
    fields = graph.query_type.fields
    for name in ROUTERS_FIELDS:  # Strawberry has them first, and so would whatever offers fields to people
        fields[name] = fields.pop(name)
    return schema


def client_sdl(schema: Subgraph) -> str:
    """The graph as clients see it, without what only a federation router asks for: what it is, its types by name, the
    fields of each in the order they are declared, which is the one to read them in."""
    graph = schema._schema  # pyright: ignore[reportPrivateUsage]  Strawberry prints the subgraph only
    shown = [kind for kind in graph.type_map.values() if "__" not in kind.name and not kind.name.startswith("_")]
    own = sorted((kind for kind in shown if not is_specified_scalar_type(kind)), key=lambda kind: kind.name)
    printed = [print_type(_for_clients(kind) if kind is graph.query_type else kind) for kind in own]
    return "\n\n".join(filter(None, [print_schema_definition(graph), *printed]))


def _for_clients(query: GraphQLNamedType) -> GraphQLObjectType:
    """The query type without `_service` and `_entities`."""
    assert isinstance(query, GraphQLObjectType)  # noqa: S101  what a query type is
    fields = {name: field for name, field in query.fields.items() if not name.startswith("_")}
    return GraphQLObjectType(query.name, fields, description=query.description)
