"""What the tests of Unified.to wish for, and of whom."""

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters.model import Connection
from adapters.port import Adapter
from adapters.unified_to.demo import UnifiedToImitation
from adapters.unified_to.demo_data import INTEGRATIONS
from adapters.unified_to.inputs import (
    UnifiedToAuthorizationInput,
    UnifiedToConnectionCreate,
    UnifiedToCredentialsInput,
)
from adapters.writing import Create
from tests.adapters.contracted import NOW, listed
from tests.adapters.sending import HURRIED

PLANT = "hunter2plant"
TYPE = INTEGRATIONS[0][0]
AUTHORIZE = UnifiedToAuthorizationInput()
IMPORT = UnifiedToCredentialsInput(
    categories=("crm",), permissions=("crm_contact_read",), auth={"access_token": PLANT, "key": PLANT, "state": PLANT}
)
IMPORTING: Mapping[str, Any] = {**HURRIED, "import_credentials": True}


def unified(**options: Any) -> UnifiedToImitation:
    return UnifiedToImitation(clock=lambda: NOW, **options)


def wish(**fields: Any) -> Create:
    given: dict[str, Any] = {"integration_type": TYPE, **fields}
    return Create(UnifiedToConnectionCreate(**given))


def authorizing(**how: Any) -> Create:
    return wish(authorization=UnifiedToAuthorizationInput(**how))


def importing(**what: Any) -> Create:
    return wish(credentials=msgspec.structs.replace(IMPORT, **what))


async def some(adapter: Adapter) -> Connection:
    """A connection that says of itself where it is and whose."""
    rows = await listed(adapter)
    return next(row for row in rows if row.environment == "Sandbox" and row.external_ref)
