"""The root fields."""

import functools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Annotated, Any, Optional, TypeAlias, TypeVar

import strawberry
from strawberry.types import Info

from adapters import ids, model
from gateway import cursors, facets, filters, instances, orders, paging, tasks
from gateway.context import Context
from gateway.errors import Code, bad_input, error
from gateway.info import raw
from gateway.instances import Instances
from gateway.inventory import Ask, Inventory
from gateway.loaders import Answer
from gateway.lookups import Gathered, Gathering, Place, Several, Wanted
from gateway.orders import OrderBy
from gateway.paging import Window
from gateway.schema import page as pages
from gateway.schema.connection import Connection, ConnectionRef, Node
from gateway.schema.facets import ConnectionFacets
from gateway.schema.fields import argument, checked_size, given
from gateway.schema.filters import ConnectionFilter, ConnectionOrder, filter_of, order_of
from gateway.schema.instance import Instance
from gateway.schema.selection import child_fields, connection_fields, is_only_field
from gateway.schema.tasks import Task
from gateway.sources import Need

T = TypeVar("T")
G = TypeVar("G", bound=Gathered)

DEFAULT_FIRST = 25
MAX_AGE = "How old rows may be, in seconds; 0 reads them now. As old as configured, where it is left out."
MAX_AGE_OF_ONE = (
    "How old it may be, in seconds, where a list in memory has it; 0 reads it now. As old as configured, without it."
)


Sought: TypeAlias = model.Connection | Awaitable[model.Connection | None] | None
"""A connection, None for an unknown one; to be awaited where it takes a call."""
Among: TypeAlias = list[Wanted | None]
"""What a field asks for so far, of the connections that it asks for together."""
Found: TypeAlias = model.Connection | Exception | None
"""A connection, None for an unknown one, or what was raised in its place."""


def find(
    info: Info[Context, None],
    instance: str,
    native_id: str,
    fields: frozenset[str],
    max_age: int | None = None,
    *,
    among: Among | None = None,
) -> Sought:
    """A connection, None for an unknown one, ``among`` others that the field asks for. Raises NOT_FOUND for an instance
    that is not configured, BAD_USER_INPUT for an id that cannot be one of its provider's, and, when it is awaited,
    AdapterError where the instance failed."""
    context = info.context
    configured = context.instances.get(instance)
    if configured is None:
        raise error(Code.NOT_FOUND, "There is no such instance.", retryable=False)
    if not configured.knows(native_id):
        raise bad_input(f"This cannot be an id of {configured.provider.label}.")
    ask = _ask(context, max_age)
    if context.is_planning:
        context.plan_connection(instance, native_id, fields, ask)
        return None
    place = instance, native_id
    if context.tells_grounds:
        wanted = Wanted(place, fields, ask)
        context.want(wanted, info) if among is None else among.append(wanted)
    listed = context.loaders.listed(place, fields, ask)
    if listed is not None:
        if context.tells_grounds:
            context.rest_on([context.loaders.ground(listed, fields, ask)], info)
        return listed
    if among is None and is_only_field(info):
        return _loaded(context, place, fields, ask, info)
    return context.loaders.later(place, fields, ask, lambda answer: _told(answer, context, fields, ask, info))


async def _loaded(
    context: Context, place: Place, fields: frozenset[str], ask: Ask, info: Info[Context, None]
) -> model.Connection | None:
    answer = await context.loaders.connection(place, fields, ask, alone=True)
    return _told(answer, context, fields, ask, info)


def _told(
    answer: Answer, context: Context, fields: frozenset[str], ask: Ask, info: Info[Context, None]
) -> model.Connection | None:
    connection, failures, _ = answer.given()
    if failures:
        context.report(failures, info)
    if context.tells_grounds:
        context.rest_on([context.loaders.ground(connection, fields, ask)], info)
    return connection


def find_by_id(
    info: Info[Context, None],
    id: str,
    fields: frozenset[str],
    max_age: int | None = None,
    *,
    among: Among | None = None,
) -> Sought:
    """A connection by its global id. Raises as `find`, and BAD_USER_INPUT for a text that is no id."""
    try:
        instance, native_id = ids.decode(id)
    except ids.MalformedId:
        raise bad_input("This is not an id of this graph.") from None
    return find(info, instance, native_id, fields, max_age, among=among)


async def each(info: Info[Context, None], seek: Callable[[T, Among], Sought], asked: Iterable[T]) -> list[Found]:
    """What the field asks for, together: ``seek`` seeks one among the others. The calls are made once, when all of them
    are known."""
    wanted, begun = Among(), list[Sought | Exception]()
    for one in asked:
        begun.append(_begun(seek, one, wanted))
        wanted += [None] * (len(begun) - len(wanted))  # where it can be none
    if info.context.tells_grounds:
        info.context.want(Several(wanted), info)
    return [await _found(sought) for sought in begun]


def _begun(seek: Callable[[T, Among], Sought], one: T, wanted: Among) -> Sought | Exception:
    try:
        return seek(one, wanted)
    except Exception as raised:  # noqa: BLE001  it stands in the place of what was sought
        return raised


async def _found(sought: Sought | Exception) -> Found:
    if sought is None or isinstance(sought, model.Connection | Exception):
        return sought
    try:
        return await sought
    except Exception as raised:  # noqa: BLE001  likewise
        return raised


def _window(
    info: Info[Context, None],
    order_by: OrderBy,
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> Window:
    """The rows that a page is to show. Raises BAD_USER_INPUT."""
    if first is not None and last is not None:
        raise bad_input("connections takes either first or last.")
    most = info.context.max_first
    size = checked_size("first", DEFAULT_FIRST if first is None else first, most)
    return Window(
        size if last is None else checked_size("last", last, most),
        last is not None,
        None if after is None else cursors.decode(after, order_by),
        None if before is None else cursors.decode(before, order_by),
    )


async def _gathered(
    info: Info[Context, None], make: Callable[[Instances, Inventory, Need], Awaitable[G]], need: Need
) -> G:
    """What is made of lists, with what is to be told of that. Instances that cannot have any rows are asked for their
    part only where it is told how each contributed."""
    context, instances = info.context, info.context.instances
    tells_sources = "sources" in child_fields(info)
    if not tells_sources:
        instances = {name: each for name, each in instances.items() if filters.may_match(need.where, each)}
    made = functools.partial(make, instances, context.inventory)
    gathered = context.loaders.gathered.pop(str(raw(info).path.key), None) or await made(need)
    context.report(gathered.failures, info)
    if context.tells_grounds:
        gathering = Gathering(made, need, tells_sources)
        context.want(gathering, info)
        context.rest_on(gathering.grounds(gathered), info)
    return gathered


def _ask(context: Context, max_age: int | None) -> Ask:
    """How old what is answered may be. Raises BAD_USER_INPUT."""
    if max_age is not None and max_age < 0:
        raise bad_input("maxAge must not be negative.")
    return context.ask(max_age)


@strawberry.type(description="Everything that can be asked.")
class Query:
    @strawberry.field(
        description=(
            "The connections of all instances as one list: sorted, filtered, counted and paged over all of them. Of an "
            "instance that fails, rows are missing, or shown as they last were: `sources` tells, and one error beside "
            "the data. Without `orderBy` it is sorted by name."
        ),
        graphql_type=pages.ConnectionConnection,
    )
    @staticmethod
    async def connections(  # noqa: PLR0917  the arguments of the field
        info: Info[Context, None],
        first: Annotated[
            int | None,
            argument(
                "The first so many, up to 100 unless the gateway is configured otherwise; "
                f"{DEFAULT_FIRST} where neither it nor `last` is given."
            ),
        ] = strawberry.UNSET,
        after: Annotated[str | None, argument("Of those after the connection with this cursor.")] = strawberry.UNSET,
        last: Annotated[int | None, argument("The last so many, likewise, in the same order.")] = strawberry.UNSET,
        before: Annotated[str | None, argument("Of those before the connection with this cursor.")] = strawberry.UNSET,
        filter: Annotated[  # noqa: A002  its name in the graph
            ConnectionFilter | None, argument("Only connections like this.")
        ] = strawberry.UNSET,
        order_by: Annotated[
            list[ConnectionOrder] | None, argument("By what to sort, the most important first; by name without it.")
        ] = strawberry.UNSET,
        max_age: Annotated[
            int | None,
            argument(MAX_AGE),
        ] = strawberry.UNSET,
    ) -> paging.Merged:
        context = info.context
        where, by = filter_of(filter, context.instances), order_of(order_by)
        window = _window(info, by, first=given(first), after=given(after), last=given(last), before=given(before))
        fields = connection_fields(info)
        needs_all = window.is_backward or window.before is not None or "total_count" in child_fields(info)
        need = Need(
            where=where,
            order_by=by,
            ask=_ask(context, given(max_age)),
            joins=filters.joins(where) | {orders.JOINS[order.field] for order in by if order.field in orders.JOINS},
            fields=fields if window.size else frozenset(),
            now=context.now,
            order=by[0] if len(by) == 1 and not needs_all else None,
            after=window.after,
            size=window.size,
            note=context.noting(info),
        )
        if context.is_planning:
            context.plan_lists(need)
            return paging.Merged(paging.no_rows(by), (), window, ())
        return await _gathered(info, functools.partial(paging.page, window=window), need)

    @strawberry.field(
        description="How many connections of each kind there are, for the filters of a list screen.",
        graphql_type=ConnectionFacets,
    )
    @staticmethod
    async def connection_facets(
        info: Info[Context, None],
        filter: Annotated[  # noqa: A002  its name in the graph
            ConnectionFilter | None, argument("Only connections like this.")
        ] = strawberry.UNSET,
        max_age: Annotated[
            int | None,
            argument(MAX_AGE),
        ] = strawberry.UNSET,
    ) -> facets.Facets:
        context = info.context
        where = filter_of(filter, context.instances)
        need = facets.need(where, child_fields(info), _ask(context, given(max_age)), context.now, context.noting(info))
        if context.is_planning:
            context.plan_lists(need)
            return facets.Facets((), where, need)
        return await _gathered(info, functools.partial(facets.count, where=where), need)

    @strawberry.field(
        description="A connection, by id or by reference; null for an unknown one.", graphql_type=Optional[Connection]
    )
    @staticmethod
    def connection(
        info: Info[Context, None],
        id: Annotated[strawberry.ID | None, argument("Its global id.")] = strawberry.UNSET,
        ref: Annotated[ConnectionRef | None, argument("Its instance and the upstream's own id.")] = strawberry.UNSET,
        max_age: Annotated[int | None, argument(MAX_AGE_OF_ONE)] = strawberry.UNSET,
    ) -> Sought:
        fields = connection_fields(info)
        id, ref, max_age = given(id), given(ref), given(max_age)
        if id is not None and ref is None:
            return find_by_id(info, id, fields, max_age)
        if ref is not None and id is None:
            return find(info, ref.instance, ref.native_id, fields, max_age)
        raise bad_input("connection takes either id or ref.")

    @strawberry.field(
        description=(
            "Work that a mutation has begun and an upstream takes minutes for, by its id, for who began it; null for "
            "an unknown one."
        ),
        graphql_type=Optional[Task],
    )
    @staticmethod
    async def task(
        info: Info[Context, None], id: Annotated[strawberry.ID, argument("The task's id.")]
    ) -> tasks.Task | None:
        return await info.context.writes.tasks.get(id, info.context.caller.viewer or "")

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
    def node(info: Info[Context, None], id: Annotated[strawberry.ID, argument("A global id.")]) -> Sought:
        return find_by_id(info, id, connection_fields(info))

    @strawberry.federation.field(
        description="Several things by their ids, in the order asked; null at the place of an unknown one.",
        graphql_type=list[Optional[Node]],
        shareable=True,
    )
    @staticmethod
    async def nodes(
        info: Info[Context, None], ids: Annotated[list[strawberry.ID], argument("Global ids, as many as a page has.")]
    ) -> Sequence[Found]:
        most = info.context.max_first
        if len(ids) > most:
            raise bad_input(f"ids may hold {most} at the most.")
        fields = connection_fields(info)
        return await each(info, lambda id, among: find_by_id(info, id, fields, among=among), ids)


def entity(info: Info[Context, None], representation: Any, fields: frozenset[str], among: Among) -> Sought:
    """A connection by one of its federation keys, ``among`` others; None where they lead to none, which is no error
    there. Raises BAD_USER_INPUT where no key is whole: the router's supergraph does not fit this graph."""
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
    return find(info, instance, native_id, fields, among=among)
