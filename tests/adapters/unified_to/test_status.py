"""Unified.to's health as one status, and what of an authorization may be told."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from adapters import decode
from adapters.model import ConnectionStatus, ReasonCode
from adapters.unified_to import convert, wire
from adapters.unified_to.details import AuthState, UnifiedToConnection

NOW = dt.datetime(2024, 11, 5, 12, tzinfo=dt.UTC)
EARLIER, LATER = "2024-11-01T00:00:00Z", "2024-11-02T00:00:00Z"
AT_EARLIER = dt.datetime(2024, 11, 1, tzinfo=dt.UTC)
AT_LATER = dt.datetime(2024, 11, 2, tzinfo=dt.UTC)


def given(**fields: Any) -> Any:
    row = decode.whole(msgspec.json.encode({"id": "x", **fields}), wire.Connection)
    return convert.connection(row, instance="a", now=NOW)


@pytest.mark.parametrize("paused", [None, False])
@pytest.mark.parametrize(
    ("healthy", "unhealthy", "status", "code", "since"),
    [
        (LATER, EARLIER, "HEALTHY", "HEALTH_CHECK_PASSED", AT_LATER),
        (EARLIER, LATER, "FAILING", "HEALTH_CHECK_FAILED", AT_LATER),
        (EARLIER, EARLIER, "HEALTHY", "HEALTH_CHECK_PASSED", AT_EARLIER),
        (EARLIER, None, "HEALTHY", "HEALTH_CHECK_PASSED", AT_EARLIER),
        (EARLIER, "", "HEALTHY", "HEALTH_CHECK_PASSED", AT_EARLIER),
        (None, EARLIER, "FAILING", "HEALTH_CHECK_FAILED", AT_EARLIER),
        ("", EARLIER, "FAILING", "HEALTH_CHECK_FAILED", AT_EARLIER),
        (None, None, "NEVER_RAN", "NO_HEALTH_CHECK_YET", None),
        ("", "", "NEVER_RAN", "NO_HEALTH_CHECK_YET", None),
        ("2024-11-01T01:00:00+02:00", EARLIER, "FAILING", "HEALTH_CHECK_FAILED", AT_EARLIER),
        ("yesterday", None, "UNKNOWN", "UNKNOWN_WORD", None),
        (EARLIER, "yesterday", "UNKNOWN", "UNKNOWN_WORD", None),
        ("0001-01-01T00:00:00+23:00", EARLIER, "UNKNOWN", "UNKNOWN_WORD", None),
    ],
)
def test_the_newest_health_check_decides(  # noqa: PLR0917  the columns of the table
    paused: bool | None, healthy: str | None, unhealthy: str | None, status: str, code: str, since: dt.datetime | None
):
    got = given(is_paused=paused, last_healthy_at=healthy, last_unhealthy_at=unhealthy)
    assert (got.status, got.status_reason.code) == (ConnectionStatus(status), ReasonCode(code))
    assert got.status_reason.since == since
    assert (got.enabled, got.running) == (True, False)


@pytest.mark.parametrize(
    ("times", "raw"),
    [
        ({"last_healthy_at": "yesterday"}, "yesterday, null"),
        ({"last_unhealthy_at": "24"}, "null, 24"),
        ({"last_healthy_at": EARLIER, "last_unhealthy_at": "24"}, f"{EARLIER}, 24"),
    ],
)
def test_a_time_that_cannot_be_read_is_told_beside_the_other_as_both_were_sent(times: dict[str, str], raw: str):
    assert given(**times).status_reason.raw_value == raw


def test_a_pause_comes_before_all_health():
    for times in ({}, {"last_unhealthy_at": LATER}, {"last_healthy_at": "yesterday"}):
        got = given(is_paused=True, **times)
        assert (got.status, got.enabled) == (ConnectionStatus.PAUSED, False)
        assert got.status_reason.code is ReasonCode.OVER_PLAN_LIMIT
        assert (got.status_reason.field, got.status_reason.raw_value) == ("is_paused", "true")


def test_a_connection_never_checked_is_as_it_is_since_it_was_created():
    assert given(created_at=EARLIER).status_reason.since == AT_EARLIER


@pytest.mark.parametrize(
    ("auth", "state", "ends_at"),
    [
        ({"expiry_date": "2024-11-06T00:00:00Z"}, AuthState.VALID, dt.datetime(2024, 11, 6, tzinfo=dt.UTC)),
        ({"expiry_date": EARLIER}, AuthState.EXPIRED, AT_EARLIER),
        ({"expiry_date": EARLIER, "refresh_token_expires_date": "2025-01-01T00:00:00Z"}, AuthState.VALID, AT_EARLIER),
        ({"expiry_date": EARLIER, "refresh_token_expires_date": LATER}, AuthState.EXPIRED, AT_EARLIER),
        ({"expiry_date": "1850-01-01T00:00:00Z"}, AuthState.EXPIRED, dt.datetime(1850, 1, 1, tzinfo=dt.UTC)),
        ({"expiry_date": "soon"}, AuthState.UNKNOWN, None),
        ({"expiry_date": ""}, AuthState.UNKNOWN, None),
        ({"expiry_date": 1730000000}, AuthState.UNKNOWN, None),
        ({}, AuthState.UNKNOWN, None),
    ],
)
def test_of_an_authorization_only_its_end_is_told(auth: dict[str, Any], state: AuthState, ends_at: dt.datetime | None):
    details = given(auth=auth | {"access_token": "hunter2", "name": "Dana"}).details
    assert (details.auth_state, details.auth_expires_at, details.auth_name) == (state, ends_at, "Dana")
    assert details.has_auth


CREDENTIALS = [
    "access_token",
    "refresh_token",
    "token",
    "client_secret",
    "consumer_key",
    "consumer_secret",
    "key",
    "pem",
    "dev_api_key",
    "state",
    "user_id",
    "client_id",
    "app_id",
    "authorize_url",
    "token_url",
    "api_url",
    "refresh_url",
    "audience",
]


def test_no_credential_is_ever_read():
    auth: dict[str, Any] = {name: f"hunter2-{name}" for name in CREDENTIALS}
    auth |= {"other_auth_info": ["hunter2"], "emails": ["hunter2@example.com"], "meta": {"password": "hunter2"}}
    pointers = dict.fromkeys(
        (
            "auth_aws_arn",
            "auth_azure_keyvault_id",
            "auth_gcp_secret_name",
            "auth_hashi_vault_path",
            "secretsmanager_id",
            "secretsmanager_key",
        ),
        "hunter2",
    )
    body = msgspec.json.encode({"id": "x", "auth": auth, **pointers})
    row = decode.whole(body, wire.Connection)
    assert "hunter2" not in repr(row), "not even the wire record holds one"
    got: Any = convert.connection(row, instance="a", now=NOW)
    assert "hunter2" not in repr(got)
    assert (got.details.has_auth, got.details.has_secret_pointer) == (True, True)


@pytest.mark.parametrize("value", [None, "", "absent"])
def test_a_pointer_is_there_or_not(value: str | None):
    fields = {} if value == "absent" else {"auth_aws_arn": value}
    assert not given(**fields).details.has_secret_pointer


def test_cursors_are_shown_with_credentials_masked():
    details = given(cursors_cache=[{"type": "crm", "access_token": "hunter2"}, "text", None, 2**63 - 1]).details
    assert details.cursors_cache == ({"type": "crm", "access_token": "**********"}, "text", None, 2**63 - 1)
    assert given().details.cursors_cache is None
    assert given(cursors_cache=[]).details.cursors_cache == ()


def test_words_that_are_new_stay_and_words_that_say_nothing_go():
    got = given(categories=["crm", "telepathy", None, ""], permissions=["crm_lead_read", None, "telepathy_mind_read"])
    assert got.categories == ("crm", "telepathy")
    assert got.permissions == ("crm_lead_read", "telepathy_mind_read")
    assert (given(categories=None).categories, given(categories="crm").categories) == ((), ())


def test_empty_texts_say_nothing():
    got = given(integration_type="", workspace_id="", external_xref="", environment="", last_unhealthy_code="")
    assert (got.name, got.source, got.workspace_id, got.external_ref, got.environment) == (None,) * 5
    assert got.details == UnifiedToConnection()
