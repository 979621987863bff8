"""The table of providers: ours, a line each, and those of installed plugins.

A plugin is a package with an entry point in the group ``connection_gateway.providers`` that names its `Provider`.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module, metadata

from adapters.errors import ConfigurationError
from adapters.port import Provider

PLUGINS = "connection_gateway.providers"

BUILT_IN = (
    "adapters.airbyte:PROVIDER",
    "adapters.workiva:PROVIDER",
    "adapters.unified_to:PROVIDER",
)


def providers() -> Mapping[str, Provider]:
    """All providers by key, ours first. Raises ConfigurationError where two claim one key."""
    table: dict[str, Provider] = {}
    for provider in (*_built_in(), *_plugged_in()):
        if table.setdefault(provider.key, provider) is not provider:
            raise ConfigurationError(f"two providers are called {provider.key!r}")
    return table


def _built_in() -> Iterator[Provider]:
    for place in BUILT_IN:
        module, _, name = place.partition(":")
        yield getattr(import_module(module), name)


def _plugged_in() -> Iterator[Provider]:
    for entry_point in sorted(metadata.entry_points(group=PLUGINS), key=lambda e: e.name):
        provider = entry_point.load()
        if not isinstance(provider, Provider):
            raise ConfigurationError(f"the plugin {entry_point.name!r} does not name a Provider")
        yield provider
