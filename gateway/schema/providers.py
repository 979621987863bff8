"""What in the schema depends on the providers that are installed: their enum, their details and their catalogs."""

import enum
from typing import TYPE_CHECKING, Annotated, Any, Union

import strawberry

from adapters import registry
from gateway.schema.records import object_type

PROVIDERS = registry.providers()
"""All providers by key, ours and those of installed plugins."""

if TYPE_CHECKING:
    Provider = str
    Details = Any
    Catalog = Any
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
    Catalog = Annotated[
        Union[tuple(object_type(provider.catalog) for provider in PROVIDERS.values() if provider.catalog is not None)],
        strawberry.union(
            "DiscoveredCatalog", description="What a source offers, in its provider's own terms: a member for each."
        ),
    ]
