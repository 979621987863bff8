"""What is wrong with a wish for Unified.to, and where a connection comes that does not say."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from adapters.unified_to import PROVIDER
from adapters.unified_to.inputs import (
    UnifiedToConnectionUpdate,
)
from adapters.writing import Create, ProblemCode, Start, Update
from tests.adapters.contracted import over
from tests.adapters.sending import problems
from tests.adapters.unified_to.wishes import (
    AUTHORIZE,
    IMPORT,
    IMPORTING,
    PLANT,
    authorizing,
    importing,
    some,
    unified,
    wish,
)

CODE = ProblemCode


WRONG: Mapping[str, tuple[Create, list[tuple[Any, ProblemCode]]]] = {
    "nothing to do it by": (wish(), [(("authorization",), CODE.REQUIRED)]),
    "both": (wish(authorization=AUTHORIZE, credentials=IMPORT), [(("credentials",), CODE.CONTRADICTION)]),
    "another environment": (wish(authorization=AUTHORIZE, environment="Q"), [(("environment",), CODE.NOT_PERMITTED)]),
    "blank reference": (wish(authorization=AUTHORIZE, external_xref=" "), [(("external_xref",), CODE.INVALID)]),
    "unknown integration": (
        wish(authorization=AUTHORIZE, integration_type="nobody"),
        [(("integration_type",), CODE.UNKNOWN_ID)],
    ),
    "another language": (authorizing(lang="de"), [(("authorization", "lang"), CODE.INVALID)]),
    "blank domain": (authorizing(subdomain=""), [(("authorization", "subdomain"), CODE.INVALID)]),
    "blank scope": (authorizing(scopes=("crm_contact_read", "")), [(("authorization", "scopes", 1), CODE.INVALID)]),
    "no category": (importing(categories=()), [(("credentials", "categories"), CODE.REQUIRED)]),
    "blank category": (importing(categories=("",)), [(("credentials", "categories", 0), CODE.INVALID)]),
    "blank permission": (importing(permissions=(" ",)), [(("credentials", "permissions", 0), CODE.INVALID)]),
    "no credential": (importing(auth={}), [(("credentials", "auth"), CODE.REQUIRED)]),
    "credentials that are a text": (importing(auth=PLANT), [(("credentials", "auth"), CODE.INVALID)]),
    "credentials that are a list": (importing(auth=[PLANT]), [(("credentials", "auth"), CODE.INVALID)]),
    "several": (
        wish(credentials=msgspec.structs.replace(IMPORT, categories=(), auth={}), environment="Q", external_xref=""),
        [
            (("environment",), CODE.NOT_PERMITTED),
            (("external_xref",), CODE.INVALID),
            (("credentials", "categories"), CODE.REQUIRED),
            (("credentials", "auth"), CODE.REQUIRED),
        ],
    ),
}


@pytest.mark.parametrize(("wanted", "expected"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_with_a_new_connection_is_told_with_its_place(wanted: Create, expected: Any):
    async with over(PROVIDER, unified(size=6), **IMPORTING) as contracted:
        assert await problems(contracted.adapter, wanted) == expected


@pytest.mark.parametrize("name", ["success_redirect", "failure_redirect"])
@pytest.mark.parametrize(
    "address",
    [
        "",
        "/done",
        "app.example.com/done",
        "javascript:alert(1)",
        "ftp://a.example",
        "https://",
        "https:///done",
        "https://a.example/ b",
        "https://a.example/\n",
        "http://[::1",
        "https://a.example:x/",
        "https://a.example:99999/",
    ],
)
async def test_a_redirect_is_an_absolute_address_of_the_web(name: str, address: str):
    async with over(PROVIDER, unified(size=6)) as contracted:
        expected = [(("authorization", name), CODE.INVALID)]
        assert await problems(contracted.adapter, authorizing(**{name: address})) == expected
        assert contracted.imitation.journal.calls == []


UPDATES: Mapping[str, tuple[Mapping[str, Any], list[tuple[Any, ProblemCode]]]] = {
    "nothing": ({}, [((), CODE.REQUIRED)]),
    "environment cleared": ({"environment": None}, [(("environment",), CODE.CANNOT_CLEAR)]),
    "categories cleared": ({"categories": None}, [(("categories",), CODE.CANNOT_CLEAR)]),
    "no category": ({"categories": ()}, [(("categories",), CODE.CANNOT_CLEAR)]),
    "permissions cleared": ({"permissions": None}, [(("permissions",), CODE.CANNOT_CLEAR)]),
    "blank permission": ({"permissions": ("a", "")}, [(("permissions", 1), CODE.INVALID)]),
    "blank category": ({"categories": ("",)}, [(("categories", 0), CODE.INVALID)]),
    "blank reference": ({"external_xref": " "}, [(("external_xref",), CODE.INVALID)]),
    "another environment": ({"environment": "Q"}, [(("environment",), CODE.NOT_PERMITTED)]),
}


@pytest.mark.parametrize(("given", "expected"), UPDATES.values(), ids=UPDATES)
async def test_what_is_wrong_with_a_change_is_told_with_its_place(given: Mapping[str, Any], expected: Any):
    async with over(PROVIDER, unified(size=6)) as contracted:
        row = await some(contracted.adapter)
        contracted.imitation.journal.clear()
        assert await problems(contracted.adapter, Update(row, UnifiedToConnectionUpdate(**given))) == expected
        assert contracted.imitation.journal.calls == []


async def test_what_unified_to_cannot_do_never_arrives():
    async with over(PROVIDER, unified(size=6)) as contracted:
        row = await some(contracted.adapter)
        other = msgspec.defstruct("Other", [])()
        for wanted in (Start(row), Create(other), Update(row, other)):
            with pytest.raises(TypeError):
                await contracted.adapter.draft(wanted)
        assert contracted.adapter.grouped([Start(row), Start(row)]) == [[Start(row)], [Start(row)]]


# --- where it is to be ---


@pytest.mark.parametrize(
    ("environments", "given", "expected"),
    [
        (["Sandbox", "Production"], None, "Production"),
        (["Sandbox"], None, "Sandbox"),
        (["Sandbox", "Production"], "Sandbox", "Sandbox"),
    ],
)
async def test_a_new_connection_is_where_it_is_shown(environments: list[str], given: str | None, expected: str):
    wanted = wish(authorization=AUTHORIZE, environment=given)
    async with over(PROVIDER, unified(size=6), environments=environments) as contracted:
        draft = await contracted.adapter.draft(wanted)
        assert ("env", expected) in draft.request.query


async def test_one_of_several_environments_has_to_be_said():
    async with over(PROVIDER, unified(size=6), environments=["Sandbox", "Staging"]) as contracted:
        assert await problems(contracted.adapter, wish(authorization=AUTHORIZE)) == [(("environment",), CODE.REQUIRED)]
