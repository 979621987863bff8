"""The `Connection` type: a declaration over `adapters.model.Connection`, which is what resolvers return.

Fields without a resolver read the record's attribute of the same name.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Optional

import strawberry
from strawberry.federation.schema_directives import Key
from strawberry.types import Info

from adapters import model
from adapters.errors import AdapterError
from adapters.port import Capability
from gateway import freshness, instances
from gateway.context import Context
from gateway.execution.called import constant
from gateway.schema import runs as run_pages
from gateway.schema.abilities import Ability, Able, abilities
from gateway.schema.fields import argument, checked_size, described, given
from gateway.schema.instance import Instance
from gateway.schema.providers import Details, Provider
from gateway.schema.records import is_record, object_type, word

ConnectionStatus = word(model.ConnectionStatus)
SchemaChange = word(model.SchemaChange)
StatusReason = object_type(model.StatusReason)
Endpoint = object_type(model.Endpoint)
Schedule = object_type(model.Schedule)
Run = object_type(model.Run)
Freshness = object_type(freshness.Freshness)


@strawberry.interface(description="Something with an id of its own, by which it can be fetched again.")
class Node:
    id: strawberry.ID = described("The global id: opaque, stable, and unique over all instances.")


@strawberry.input(description="A connection by the words of its upstream.")
class ConnectionRef:
    instance: str = strawberry.field(description="The name of its instance.")
    native_id: strawberry.ID = strawberry.field(description="The upstream's own id of it.")


@strawberry.federation.type(
    keys=[Key(fields="id", resolvable=True), Key(fields="instance { name } nativeId", resolvable=True)],  # pyright: ignore[reportArgumentType]
    description=(
        "One connection of one instance: something that moves or exchanges data, whoever runs it. "
        "What a provider cannot know is null; what only one provider knows is in `details`."
    ),
)
class Connection(Node):
    provider: str = described("The kind of upstream it lives in.", Provider)
    native_id: strawberry.ID = described("The upstream's own id.")
    name: str | None = described("Its name. For an integration, the integration's display name.")
    description: str | None = described("What people wrote about it.")
    status: str = described("How it is doing.", ConnectionStatus)
    status_reason: object = described("The evidence for the status.", StatusReason)
    enabled: bool | None = described("Whether it is switched on.")
    running: bool | None = described("Whether a run goes on now.")
    source: object = described("Where data comes from.", Optional[Endpoint])
    destination: object = described(
        "Where data goes to; null where that is not an upstream's to know.", Optional[Endpoint]
    )
    schedule: object = described(
        "When runs start by themselves; null where the provider has no schedules.", Optional[Schedule]
    )
    last_run: object = described("The last run, as far as a list shows it; see `runs` for more.", Optional[Run])

    @strawberry.field(
        description="Whether runs come as often as its schedule says, so far as a list shows it.",
        graphql_type=Freshness,
    )
    @staticmethod
    def freshness(parent: strawberry.Parent[model.Connection], info: Info[Context, None]) -> freshness.Freshness:
        return freshness.freshness(parent, info.context.now)

    created_at: dt.datetime | None = described("When it was created.")
    updated_at: dt.datetime | None = described("When it was last changed.")
    created_by: str | None = described("Id of the user who created it.")
    workspace_id: str | None = described("The upstream's workspace it belongs to.")
    workspace_name: str | None = described("The name of that workspace.")
    environment: str | None = described("The environment it belongs to, such as Production.")
    external_ref: str | None = described("Your own reference to it, such as the id of the customer it is for.")
    categories: list[str] = described(
        "Kinds of systems it covers, in the upstream's words, which grow: crm, hris, task."
    )
    permissions: list[str] = described("What it may do, in the upstream's words, which grow: crm_contact_read.")
    schema_change: str | None = described(
        "Whether the source's schema moved away from what it was set up for.", Optional[SchemaChange]
    )
    last_healthy_at: dt.datetime | None = described("When its health was last checked and found good.")
    last_unhealthy_at: dt.datetime | None = described("When its health was last checked and found bad.")
    web_url: str | None = described("Where people open it in the upstream's own console.")
    details: object = described("What only this provider knows of it.", Optional[Details])

    @strawberry.field(description="The configured account of the upstream that it lives in.", graphql_type=Instance)
    @staticmethod
    @constant
    def instance(parent: strawberry.Parent[model.Connection], info: Info[Context, None]) -> instances.Instance:
        return info.context.instances[parent.instance]

    @strawberry.field(
        description="Its runs, the newest first; null where the provider has none. Each costs one more call.",
        graphql_type=Optional[run_pages.RunConnection],
    )
    @staticmethod
    async def runs(
        parent: strawberry.Parent[model.Connection],
        info: Info[Context, None],
        first: Annotated[int, argument("How many runs, up to 100 unless the gateway is configured otherwise.")] = 10,
        after: Annotated[str | None, argument("Go on after the run with this cursor.")] = strawberry.UNSET,
    ) -> run_pages.RunConnection | None:
        limit = checked_size("first", first, info.context.max_first)
        after = given(after)
        token = run_pages.token(after)
        instance = info.context.instances[parent.instance]
        if Capability.RUNS not in instance.provider.capabilities:
            return None
        got = await instance.ask(instance.adapter.runs(parent, after=token, limit=max(limit, 1)))
        if isinstance(got, AdapterError):
            raise got
        return run_pages.page(got, limit, is_start=after is None)

    @strawberry.field(
        description="What can be done to it, and why not, by what is known of it.", graphql_type=list[Ability]
    )
    @staticmethod
    def can(parent: strawberry.Parent[model.Connection], info: Info[Context, None]) -> Sequence[Able]:
        return abilities(info, info.context.instances[parent.instance], parent)

    is_type_of = staticmethod(is_record(model.Connection))
