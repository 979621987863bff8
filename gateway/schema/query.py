"""The root fields."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Optional

import strawberry
from strawberry.types import Info

from adapters import ids, model
from adapters.errors import AdapterError
from gateway import instances, paging
from gateway.context import Context
from gateway.errors import Code, bad_input, error, from_adapter
from gateway.schema import page as pages
from gateway.schema.connection import Connection, Node
from gateway.schema.fields import argument, checked_first, given
from gateway.schema.instance import Instance
from gateway.schema.selection import connection_fields

DEFAULT_FIRST = 25


@strawberry.input(description="A connection by the words of its upstream.")
class ConnectionRef:
    instance: str = strawberry.field(description="The name of its instance.")
    native_id: strawberry.ID = strawberry.field(description="The upstream's own id of it.")


async def find(
    info: Info[Context, None], instance: str, native_id: str, fields: frozenset[str]
) -> model.Connection | None:
    """A connection, None for an unknown one. Raises NOT_FOUND for an instance that is not configured, BAD_USER_INPUT
    for an id that cannot be one of its provider's, and AdapterError where the instance failed."""
    configured = info.context.instances.get(instance)
    if configured is None:
        raise error(Code.NOT_FOUND, "There is no such instance.", retryable=False)
    if not configured.knows(native_id):
        raise bad_input(f"This cannot be an id of {configured.provider.label}.")
    answer = await info.context.loaders.connection(instance, native_id, fields)
    info.context.report(answer.failures, info)
    return answer.connection


async def find_by_id(info: Info[Context, None], id: str, fields: frozenset[str]) -> model.Connection | None:
    """A connection by its global id. Raises as `find`, and BAD_USER_INPUT for a text that is no id."""
    try:
        instance, native_id = ids.decode(id)
    except ids.MalformedId:
        raise bad_input("This is not an id of this graph.") from None
    return await find(info, instance, native_id, fields)


@strawberry.type(description="Everything that can be asked.")
class Query:
    @strawberry.field(
        description=(
            "The connections of all instances: the first of each instance, then the second of each, and so on. "
            "An instance that fails is missing from the page, told in `sources` and in one error beside the data."
        ),
        graphql_type=pages.ConnectionConnection,
    )
    @staticmethod
    async def connections(
        info: Info[Context, None],
        first: Annotated[int | None, argument("How many connections, 0 to 100.")] = DEFAULT_FIRST,
        after: Annotated[str | None, argument("Go on after the connection with this cursor.")] = strawberry.UNSET,
    ) -> pages.ConnectionConnection:
        after = given(after)
        limit = checked_first(DEFAULT_FIRST if first is None else first, info.context.max_first)
        merged = await paging.page(info.context.instances, first=limit, after=after, fields=connection_fields(info))
        info.context.report(merged.failures, info)
        return pages.page(merged, is_start=after is None)

    @strawberry.field(
        description="A connection, by id or by reference; null for an unknown one.", graphql_type=Optional[Connection]
    )
    @staticmethod
    async def connection(
        info: Info[Context, None],
        id: Annotated[strawberry.ID | None, argument("Its global id.")] = strawberry.UNSET,
        ref: Annotated[ConnectionRef | None, argument("Its instance and the upstream's own id.")] = strawberry.UNSET,
    ) -> model.Connection | None:
        fields = connection_fields(info)
        id, ref = given(id), given(ref)
        if id is not None and ref is None:
            return await find_by_id(info, id, fields)
        if ref is not None and id is None:
            return await find(info, ref.instance, ref.native_id, fields)
        raise bad_input("connection takes either id or ref.")

    @strawberry.field(
        description="The configured instances, in the order of the configuration.", graphql_type=list[Instance]
    )
    @staticmethod
    def instances(info: Info[Context, None]) -> Sequence[instances.Instance]:
        return list(info.context.instances.values())

    @strawberry.federation.field(
        description="Anything with an id, by its id; null for an unknown one.",
        graphql_type=Optional[Node],
        shareable=True,
    )
    @staticmethod
    async def node(
        info: Info[Context, None], id: Annotated[strawberry.ID, argument("A global id.")]
    ) -> model.Connection | None:
        return await find_by_id(info, id, connection_fields(info))

    @strawberry.federation.field(
        description="Several things by their ids, in the order asked; null at the place of an unknown one.",
        graphql_type=list[Optional[Node]],
        shareable=True,
    )
    @staticmethod
    async def nodes(
        info: Info[Context, None], ids: Annotated[list[strawberry.ID], argument("Global ids, as many as a page has.")]
    ) -> Sequence[model.Connection | Exception | None]:
        most = info.context.max_first
        if len(ids) > most:
            raise bad_input(f"ids may hold {most} at the most.")
        fields = connection_fields(info)
        return await asyncio.gather(*(find_by_id(info, id, fields) for id in ids), return_exceptions=True)  # pyright: ignore[reportReturnType]


async def entity(info: Info[Context, None], representation: Any, fields: frozenset[str]) -> model.Connection | None:
    """A connection by one of its federation keys; None where they lead to none, which is no error there. Raises
    BAD_USER_INPUT where no key is whole: the router's supergraph does not fit this graph."""
    match representation:
        case {"id": str(id)}:
            try:
                instance, native_id = ids.decode(id)
            except ids.MalformedId:
                return None
        case {"instance": {"name": str(instance)}, "nativeId": str(native_id)}:
            pass
        case _:
            raise bad_input("A representation must have a key of Connection: id, or instance { name } and nativeId.")
    configured = info.context.instances.get(instance)
    if configured is None or not configured.knows(native_id):
        return None
    try:
        return await find(info, instance, native_id, fields)
    except AdapterError as failed:
        raise from_adapter(failed) from None
