"""What in the schema depends on the providers that are installed: their enum, their details and their inputs."""

import enum
from typing import TYPE_CHECKING, Annotated, Any, Union

import strawberry

from adapters import registry
from gateway.schema.records import input_type, object_type

PROVIDERS = registry.providers()
"""All providers by key, ours and those of installed plugins."""

if TYPE_CHECKING:
    Provider = str
    Details = Any
else:
    Provider = strawberry.enum(
        enum.Enum(
            "Provider",
            {
                provider.key.upper(): strawberry.enum_value(provider.key, description=provider.description)
                for provider in PROVIDERS.values()
            },
        ),
        description="A kind of upstream.",
    )
    Details = Annotated[
        Union[tuple(object_type(provider.details) for provider in PROVIDERS.values())],
        strawberry.union(
            "ConnectionDetails",
            description="What only one provider knows of a connection, verbatim in meaning: a member for each.",
        ),
    ]

INPUTS = tuple(
    input_type(record)
    for provider in PROVIDERS.values()
    for record in (provider.create, provider.update, provider.start)
    if record is not None
)
"""The input types of all providers."""
