"""Workiva Wdata: connections that carry data from queries, tables and files into files.

API version 2026-01-01 of the Wdata service, whose specification Workiva publishes on its developer site
(developers.workiva.com, "Wdata"). Connections can be read and refreshed through it, never created or changed.
"""

import re

from adapters.port import Capability, Provider
from adapters.workiva.adapter import build
from adapters.workiva.client import Settings
from adapters.workiva.demo import WorkivaImitation
from adapters.workiva.details import WorkivaConnection
from adapters.workiva.fields import SOURCE_MODELS
from adapters.workiva.inputs import WorkivaRunInput

PROVIDER = Provider(
    key="workiva",
    label="Workiva Wdata",
    description="Connections of Workiva Wdata, which fill spreadsheets, documents and presentations with data.",
    capabilities=frozenset(
        {
            Capability.RUNS,
            Capability.LAST_RUN,
            Capability.DESCRIPTION,
            Capability.DESTINATION,
            Capability.CREATED_AT,
            Capability.RUN,
            Capability.RUN_MANY,
        }
    ),
    # Opaque and without a format in the specification; whatever is safe in a path and a query.
    native_id=re.compile(r"[A-Za-z0-9._~:=+-]{1,200}"),
    settings=Settings,
    details=WorkivaConnection,
    start=WorkivaRunInput,
    source_models=SOURCE_MODELS,
    build=build,
    demo=WorkivaImitation,
)
