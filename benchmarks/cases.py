"""What is measured: queries, and how each is put to the gateway, to the yardstick and to the floor."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from adapters import ids

FEW = "id name status provider enabled running externalRef updatedAt"
"""Eight fields."""
MANY = """id provider nativeId name description status enabled running createdAt updatedAt createdBy workspaceId
    environment externalRef categories permissions schemaChange lastHealthyAt lastUnhealthyAt webUrl
    source { id type } lastRun { status startedAt endedAt }"""
"""Twenty fields, and two records inside."""
LIST_LEVEL = "id name status enabled updatedAt source { id type }"

Ids = Sequence[tuple[str, str]]
Known = Mapping[str, Sequence[str]]
"""Native ids by instance."""


class Case(NamedTuple):
    """A query. ``rows`` is how many connections its answer has, ``sockets`` at how many it is measured beside one."""

    name: str
    title: str
    fleet: str
    query: str
    rows: int
    sockets: int = 32
    of: str | None = None
    """The one provider that is listed, as the floor is told."""

    def bodies(self, known: Known) -> list[Any]:
        """What is sent, in turn."""
        if self.name == "by_id":
            return [{"query": self.query, "variables": {"id": ids.encode("workiva", id)}} for id in known["workiva"]]
        return [{"query": self.query.replace("ALIASED", aliased(known))}]

    def floors(self, known: Known) -> list[Any]:
        """The same for the floor."""
        if self.name == "by_id":
            return [{"ids": [("workiva", id)]} for id in known["workiva"]]
        return [{"ids": mixed(known) if self.name == "twenty_ids" else [], "of": self.of}]


def mixed(known: Known) -> Ids:
    """Twenty ids over three instances."""
    return [
        (name, id) for name, count in (("airbyte", 7), ("workiva", 7), ("unified", 6)) for id in known[name][:count]
    ]


def aliased(known: Known) -> str:
    """Twenty fields that ask for one each."""
    return " ".join(
        f'c{number}: connection(id: "{ids.encode(*of)}") {{ {LIST_LEVEL} }}' for number, of in enumerate(mixed(known))
    )


def _page(first: int, fields: str, provider: str = "") -> str:
    chosen = f", filter: {{ provider: [{provider}] }}" if provider else ""
    return f"connections(first: {first}{chosen}) {{ nodes {{ {fields} }} }}"


CASES = (
    Case(
        "list_of_one",
        "100 of one provider, 8 fields",
        "hundred",
        f"{{ {_page(100, FEW, 'AIRBYTE')} }}",
        100,
        of="airbyte",
    ),
    Case("three_lists", "300 of three providers, 20 fields", "hundred", f"{{ {_page(300, MANY)} }}", 300),
    Case(
        "long_lists",
        "2999 of three providers, 8 fields",
        "thousand",
        "{ "
        + " ".join(f"{each.lower()}: {_page(1000, FEW, each)}" for each in ("AIRBYTE", "WORKIVA", "UNIFIED_TO"))
        + " }",
        2999,
        sockets=8,
    ),
    Case("by_id", "one by id, 20 fields", "hundred", f"query($id: ID!) {{ connection(id: $id) {{ {MANY} }} }}", 1),
    Case("twenty_ids", "20 aliased ids over three providers", "hundred", "{ ALIASED }", 20),
)


def count(data: Any) -> int:
    """How many connections an answer has."""
    found = 0
    for value in data.values():
        found += len(value["nodes"]) if value and "nodes" in value else value is not None
    return found
