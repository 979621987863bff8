"""What the imitation of Airbyte is about: its workspaces, connectors, names, schedules and ids, by number."""

import functools
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from adapters.imitation import Beat, native_id

PLANTED = "planted-secret-airbyte"
"""Stands wherever the real upstream holds a credential; it must appear in no answer of ours."""

WORKSPACES: Mapping[str, int] = {"Data platform": 40, "Réseau de données — Europe": 20}
"""How many of each sixty connections are of which."""
SOURCES = ("Postgres", "Stripe", "Salesforce", "MySQL", "Google Ads", "S3", "HubSpot", "Shopify", "MongoDb", "Jira")
DESTINATIONS = ("BigQuery", "Snowflake", "Redshift", "Databricks Lakehouse", "ClickHouse")
UNREACHABLE = "MongoDb"
"""The kind of source of which every check and discovery fails."""
PLACES = {"source": 30, "destination": 10}
SUBJECTS = (
    "Orders",
    "Billing",
    "CRM accounts",
    "在庫マスタ",
    "Marketing spend",
    "Support tickets",
    "Inventory",
    "Web-Analytik Köln",
    "Clickstream",
    "مبيعات المتجر",
    "Payroll",
    "Subscriptions",
)
SCHEDULES: tuple[dict[str, Any], ...] = (
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "hours", "units": 24}}},
    {"scheduleType": "cron", "scheduleData": {"cron": {"cronExpression": "0 0 */6 * * ?", "cronTimeZone": "UTC"}}},
    {"scheduleType": "manual"},
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "minutes", "units": 15}}},
    {
        "scheduleType": "cron",
        "scheduleData": {"cron": {"cronExpression": "0 30 2 ? * 2-6", "cronTimeZone": "Europe/Berlin"}},
    },
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "days", "units": 1}}},
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "weeks", "units": 2}}},
    {"scheduleType": "basic", "scheduleData": {"basicSchedule": {"timeUnit": "months", "units": 1}}},
    {},
)
OUTCOMES = ("succeeded", "succeeded", "failed", "succeeded", "cancelled", "succeeded", "incomplete", "succeeded")
STATUSES = {7: "inactive", 23: "inactive", 31: "locked", 41: "inactive", 53: "archived"}
"""By number; all others are active. The last is a word that no version of Airbyte has: words get added."""
SCHEMA_CHANGES = {5: "non_breaking", 12: "breaking", 24: "breaking", 36: "non_breaking"}


def failure_reason(beat: Beat) -> dict[str, Any]:
    return {
        "failureOrigin": "source",
        "failureType": "config_error",
        "externalMessage": "The source refused the connection: check its host and port.",
        "internalMessage": f"connect failed for user airbyte with {PLANTED}",
        "stacktrace": "java.net.ConnectException: refused\n\tat java.base/sun.nio.ch.Net.connect(Net.java:579)",
        "retryable": False,
        "timestamp": int((beat.ended_at or beat.started_at) * 1000),
    }


def snippet(end: dict[str, Any]) -> dict[str, Any]:
    """What a list shows of an endpoint; in the earlier generation without an icon."""
    return {key: value for key, value in end.items() if key not in ("workspaceId", "connectionConfiguration")}


def status_of(number: int) -> str:
    return STATUSES.get(number, "active")


def never_synced(number: int) -> bool:
    return number % 14 == 13


def name_of(number: int) -> str:
    kind = kind_of("destination", place_of("destination", number))
    long = ", every table with its history since the migration of the old warehouse" * (number % 17 == 16)
    return f"{SUBJECTS[number % len(SUBJECTS)]} {number:02d} → {kind}{long}"


def place_of(side: str, number: int) -> int:
    """Which of its workspace's thirty sources or ten destinations a connection has."""
    return number % 60 % PLACES[side]


def kind_of(side: str, place: int) -> str:
    kinds = SOURCES if side == "source" else DESTINATIONS
    return kinds[place % len(kinds)]


def end_name(side: str, place: int) -> str:
    return f"{kind_of(side, place)} {('production', 'EU', 'archive')[place % 3]} {place:02d}"


@functools.cache
def end_id(side: str, workspace: str, place: int) -> str:
    return str(UUID(native_id(side, workspace, place)))


def connection_id(number: int) -> str:
    return str(UUID(native_id("airbyte", number)))


@functools.cache
def workspace_id(name: str) -> str:
    return str(UUID(native_id("workspace", name)))


@functools.cache
def definition_id(side: str, kind: str) -> str:
    return str(UUID(native_id("definition", side, kind)))


def icon(kind: str) -> str:
    """An inline SVG, as Airbyte has them: a disc in the connector's own hue."""
    hue = sum(kind.encode()) % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
        f'<circle cx="12" cy="12" r="11" fill="hsl({hue} 70% 45%)"/></svg>'
    )
