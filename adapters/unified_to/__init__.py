"""Unified.to: connections of our customers' own accounts to the integrations that Unified.to offers.

The generation of the API of autumn 2024, which has every field that a connection ever had, and what came since
(docs.unified.to, "Unified", "Connection"). It checks the health of connections, but knows neither runs nor schedules.
"""

import re

from adapters.port import Capability, Provider
from adapters.unified_to.adapter import build
from adapters.unified_to.client import Settings
from adapters.unified_to.demo import UnifiedToImitation
from adapters.unified_to.details import UnifiedToConnection
from adapters.unified_to.fields import SECRETS, SOURCE_MODELS
from adapters.unified_to.inputs import UnifiedToConnectionCreate, UnifiedToConnectionUpdate

PROVIDER = Provider(
    key="unified_to",
    label="Unified.to",
    description="Connections of Unified.to, each a customer's authorization of one integration.",
    capabilities=frozenset(
        {
            Capability.HEALTH_CHECKS,
            Capability.ENVIRONMENTS,
            Capability.CATEGORIES,
            Capability.CREATED_AT,
            Capability.CREATE,
            Capability.IMPORT_CREDENTIALS,
            Capability.UPDATE,
            Capability.DELETE,
        }
    ),
    # 24 hex digits in practice, opaque in the specification; whatever is safe in a path.
    native_id=re.compile(r"[A-Za-z0-9._~:=+-]{1,200}"),
    settings=Settings,
    details=UnifiedToConnection,
    create=UnifiedToConnectionCreate,
    update=UnifiedToConnectionUpdate,
    source_models=SOURCE_MODELS,
    secrets=SECRETS,
    build=build,
    demo=UnifiedToImitation,
)
