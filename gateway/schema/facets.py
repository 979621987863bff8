"""Counts of connections by kind."""

from collections.abc import Sequence
from typing import Any

import msgspec
import strawberry

from gateway import facets
from gateway.execution.called import constant
from gateway.schema.fields import described
from gateway.schema.page import SourceReport, report


@strawberry.type(description="One kind, and how many connections are of it.")
class Facet:
    value: str = described(
        "The value, as a filter takes it. Kinds of systems that a filter takes for one are one here, in the spelling "
        "that most connections have."
    )
    label: str = described("What people call it.")
    icon: str | None = described("Its icon, where one is known: an inline SVG, or the address of an image.")
    count: int = described("How many connections are of it.")


def _counted(name: str, description: str) -> Any:
    """A field with the counts of one kind."""

    @constant
    def counted(parent: strawberry.Parent[facets.Facets]) -> Sequence[facets.Facet]:
        found = parent.counted(name)
        # A filter takes providers by their words in the graph.
        return (
            [msgspec.structs.replace(facet, value=facet.value.upper()) for facet in found]
            if name == "provider"
            else found
        )

    return strawberry.field(resolver=counted, description=description, graphql_type=list[Facet])


@strawberry.type(
    description=(
        "How many connections of each kind there are. Each list leaves out the filter's own condition of that kind, so "
        "that it shows the alternatives; the most come first, then by name. Connections that lack a value are in none."
    )
)
class ConnectionFacets:
    total_count: int = described("How many connections meet the whole filter.")
    status: list[Facet] = _counted("status", "By status.")
    provider: list[Facet] = _counted("provider", "By provider.")
    instance: list[Facet] = _counted("instance", "By instance.")
    workspace: list[Facet] = _counted("workspace", "By workspace: its id, with its name where it is known.")
    environment: list[Facet] = _counted("environment", "By environment.")
    source_type: list[Facet] = _counted("source_type", "By the kind of system that data comes from.")
    destination_type: list[Facet] = _counted("destination_type", "By the kind of system that data goes to.")
    category: list[Facet] = _counted("category", "By category; a connection may have several.")
    schedule_type: list[Facet] = _counted("schedule_type", "By what starts the runs.")

    @strawberry.field(
        description="What each instance contributed: whether counts lack something, and whose.",
        graphql_type=list[SourceReport],
    )
    @staticmethod
    def sources(parent: strawberry.Parent[facets.Facets]) -> list[SourceReport]:
        return [report(source) for source in parent.sources]
