"""Airbyte: connections that sync sources into destinations.

Speaks the Config API ("web backend"), whose specification is airbyte-api/…/openapi/config.yaml in the repository
airbytehq/airbyte-platform: both the generation of v0.40.32, which dumps a workspace's list whole, and the one since
July 2025, which pages it by cursor. Airbyte promises no stability for this API, so records are read tolerantly.
"""

import re

from adapters.airbyte.adapter import build
from adapters.airbyte.client import Settings
from adapters.airbyte.demo import AirbyteImitation
from adapters.airbyte.details import AirbyteCatalog, AirbyteConnection
from adapters.airbyte.fields import SOURCE_MODELS
from adapters.airbyte.inputs import AirbyteConnectionCreate, AirbyteConnectionUpdate
from adapters.port import Capability, Provider

PROVIDER = Provider(
    key="airbyte",
    label="Airbyte",
    description="Connections of Airbyte, which sync sources into destinations on a schedule.",
    capabilities=frozenset(
        {
            Capability.SCHEDULE,
            Capability.RUNS,
            Capability.LAST_RUN,
            Capability.RUN_COUNTS,
            Capability.SCHEMA_CHANGES,
            Capability.DESTINATION,
            Capability.WORKSPACE_NAMES,
            Capability.CREATE,
            Capability.UPDATE,
            Capability.ENABLE,
            Capability.RUN,
            Capability.CANCEL_RUN,
            Capability.RESET,
            Capability.DELETE,
            Capability.CHECK_ENDPOINT,
            Capability.DISCOVER_SCHEMA,
        }
    ),
    native_id=re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    settings=Settings,
    details=AirbyteConnection,
    create=AirbyteConnectionCreate,
    update=AirbyteConnectionUpdate,
    catalog=AirbyteCatalog,
    source_models=SOURCE_MODELS,
    build=build,
    demo=AirbyteImitation,
)
