"""Counts and filters agree: whoever picks an alternative that a list screen offers finds as many as it said."""

from typing import Any

import pytest

from adapters.model import Connection, Endpoint
from tests.gateway.listed import Listed, connection, drawn
from tests.gateway.served import serving

COUNTS = """
    query ($where: ConnectionFilter) {
      connectionFacets(filter: $where) { sourceType { value label icon count } destinationType { value count } }
    }"""
FOUND = "query ($where: ConnectionFilter) { connections(first: 0, filter: $where) { totalCount } }"


def reading(instance: str, *types: str | None, icon: str | None = None) -> list[Connection]:
    """A row for each type that it reads from."""
    ends = [None if type is None else Endpoint(type=type, icon=icon) for type in types]
    return [connection(instance, str(number), source=end) for number, end in enumerate(ends)]


async def test_types_that_a_filter_takes_for_one_are_counted_as_one():
    one = Listed("a", {"": reading("a", "HubSpot", "Jira", None)})
    other = Listed("b", {"": reading("b", "hubspot", "hubspot", "hübspot", icon="<svg/>")})
    async with serving(one, other) as fleet:
        facets = (await fleet.data(COUNTS))["connectionFacets"]["sourceType"]
        assert facets == [
            {"value": "hubspot", "label": "hubspot", "icon": "<svg/>", "count": 4},
            {"value": "Jira", "label": "Jira", "icon": None, "count": 1},
        ]
        found = await fleet.data(FOUND, {"where": {"sourceType": ["HubSpot"]}})
        assert found["connections"]["totalCount"] == 4


@pytest.mark.parametrize("types", [("jira", "JIRA", "Jira"), ("Jira", "jira", "JIRA"), ("JIRA", "Jira", "jira")])
async def test_of_spellings_as_frequent_the_first_by_its_code_points_is_shown(types: tuple[str, ...]):
    async with serving(Listed("a", {"": reading("a", *types)})) as fleet:
        facets = (await fleet.data(COUNTS))["connectionFacets"]["sourceType"]
    assert [(each["value"], each["count"]) for each in facets] == [("JIRA", 3)]


@pytest.mark.parametrize("enabled", [None, True])
async def test_each_count_is_what_its_value_finds(enabled: bool | None):
    rng = drawn(7)
    spellings = ("Postgres", "postgres", "POSTGRES", "Straße", "strasse", "", "会計", "Ωmega", "ωmega")

    def rows(instance: str, count: int) -> list[Connection]:
        """More than are sorted by their keys, too."""

        def end() -> Endpoint:
            return Endpoint(type=rng.choice(spellings))

        told = ({"source": end(), "destination": end(), "enabled": rng.random() < 0.5} for _ in range(count))
        return [connection(instance, str(number), **attributes) for number, attributes in enumerate(told)]

    where: dict[str, Any] = {} if enabled is None else {"enabled": enabled}
    async with serving(Listed("a", {"": rows("a", 900)}), Listed("b", {"": rows("b", 40)}), max_age=600) as fleet:
        facets = (await fleet.data(COUNTS, {"where": where}))["connectionFacets"]
        for kind, counted in facets.items():
            assert len(counted) == 5
            for each in counted:
                found = await fleet.data(FOUND, {"where": {**where, kind: [each["value"]]}})
                assert found["connections"]["totalCount"] == each["count"], (kind, each)
