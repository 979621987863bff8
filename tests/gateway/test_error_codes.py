"""Codes of errors: every failure of an adapter has one, those that an adapter made up itself among them."""

from collections.abc import Mapping
from typing import Any

import pytest

from adapters.capabilities import Capability, Refusal
from adapters.errors import AdapterError, RateLimited
from adapters.port import Fields, Found, Reader
from tests.gateway.listed import Listed, connection
from tests.gateway.served import serving


class QuotaGone(RateLimited):
    """What an adapter calls a limit of its upstream's own."""


class QuotaOfTheDayGone(QuotaGone):
    """What it calls one of these."""


class Odd(AdapterError):
    """What is like nothing else."""


CODES = {
    QuotaGone: "UPSTREAM_RATE_LIMITED",
    QuotaOfTheDayGone: "UPSTREAM_RATE_LIMITED",
    Odd: "UPSTREAM_BAD_RESPONSE",
    AdapterError: "UPSTREAM_BAD_RESPONSE",
}
PAGE = "{ connections { nodes { id } sources { state error { code retryable } } } }"
PAUSE = """
    mutation ($native: ID!) {
      setConnectionEnabled(input: { ref: { instance: "a", nativeId: $native }, enabled: false }) {
        connection { id }
      }
    }"""
NATIVE_ID = "2691ec2b-60f6-d01e-1ef4-9cc0288df750"


class Failing(Listed):
    """An upstream that fails in its own way, whatever is asked of it."""

    def __init__(self, error: AdapterError) -> None:
        super().__init__("a", {"": [connection("a", NATIVE_ID)]})
        self.failing = error

    def refuses(self, action: Capability) -> Refusal | None:
        return None

    async def get_many(self, wanted: Mapping[str, Fields], read: Reader | None = None) -> Found:
        assert self.failing is not None
        raise self.failing

    class _Transport:
        write_timeout_s = 1.0

    transport: Any = _Transport()


@pytest.mark.parametrize(("kind", "code"), CODES.items())
async def test_an_adapters_own_error_has_the_code_of_what_it_derives_from(kind: type[AdapterError], code: str):
    async with serving(Failing(kind("no more today")), Listed("b", {"": [connection("b")]})) as fleet:
        listed = await fleet.ask(PAGE)
        changed = await fleet.ask(PAUSE, {"native": NATIVE_ID})
    page = listed["data"]["connections"]
    assert len(page["nodes"]) == 1, "the other instance has its rows"
    assert {"state": "FAILED", "error": {"code": code, "retryable": kind.retryable}} in page["sources"]
    assert [error["extensions"]["code"] for error in (*listed["errors"], *changed["errors"])] == [code, code]
