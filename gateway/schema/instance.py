"""The configured instances of the providers."""

import datetime as dt
from collections.abc import Sequence

import strawberry
from strawberry.federation.schema_directives import Shareable
from strawberry.types import Info

from adapters.guards import BreakerState
from adapters.port import Capability
from gateway import instances
from gateway.context import Context
from gateway.execution.called import constant
from gateway.schema.abilities import Ability, Able, abilities
from gateway.schema.providers import Provider
from gateway.schema.records import word


@strawberry.type(description="One configured account of an upstream.")
class Instance:
    name: str = strawberry.field(
        description="Its name in the gateway's configuration, part of the id of every connection in it.",
        directives=[Shareable()],  # other subgraphs spell it in the key of a Connection
    )

    @strawberry.field(description="The kind of upstream it is.", graphql_type=Provider)
    @staticmethod
    @constant
    def provider(parent: strawberry.Parent[instances.Instance]) -> str:
        return parent.provider.key

    @strawberry.field(description="The provider's name as people write it.")
    @staticmethod
    @constant
    def provider_label(parent: strawberry.Parent[instances.Instance]) -> str:
        return parent.provider.label

    @strawberry.field(
        description="What it can express or do. A field that needs a capability it lacks is null.",
        graphql_type=list[word(Capability)],
    )
    @staticmethod
    @constant
    def capabilities(parent: strawberry.Parent[instances.Instance]) -> list[Capability]:
        return sorted(parent.provider.capabilities)

    @strawberry.field(
        description="What can be done in it, and why not. What can be done to a connection also depends on its state.",
        graphql_type=list[Ability],
    )
    @staticmethod
    def can(parent: strawberry.Parent[instances.Instance], info: Info[Context, None]) -> Sequence[Able]:
        return abilities(info, parent, None)

    @strawberry.field(description="When the oldest of what is kept of it was read; null where nothing is.")
    @staticmethod
    def as_of(parent: strawberry.Parent[instances.Instance], info: Info[Context, None]) -> dt.datetime | None:
        return info.context.inventory.as_of(parent.name)

    @strawberry.field(description="Whether calls to it are being made.", graphql_type=word(BreakerState))
    @staticmethod
    def breaker(parent: strawberry.Parent[instances.Instance]) -> BreakerState:
        return parent.adapter.transport.breaker.state
