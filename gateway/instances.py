"""The configured instances: each a name, its provider and its adapter."""

import logging
import uuid
from collections.abc import Awaitable, Mapping
from typing import NamedTuple, TypeAlias, TypeVar

from adapters.errors import AdapterError, ContractBroken
from adapters.port import Adapter, Provider

T = TypeVar("T")
log = logging.getLogger(__name__)


class Instance(NamedTuple):
    """One configured account of an upstream."""

    name: str
    provider: Provider
    adapter: Adapter
    is_read_only: bool = False
    """Whether nothing in it may be changed through the gateway."""

    def knows(self, native_id: str) -> bool:
        """Whether the provider's ids look like this; anything else is not worth a call, and not safe in a URL."""
        return self.provider.native_id.fullmatch(native_id) is not None

    async def ask(self, asked: Awaitable[T]) -> T | AdapterError:
        """The answer, or the error with this instance's name in it.

        What an adapter did not foresee is its upstream's doing as well, and costs the other instances nothing.
        """
        try:
            return await asked
        except AdapterError as error:
            return self.named(error)
        except Exception:
            correlation_id = uuid.uuid4().hex
            log.exception("unforeseen failure %s of instance %s", correlation_id, self.name)
            broken = ContractBroken("the answer cannot be made sense of", correlation_id=correlation_id)
            broken.may_have_happened = True  # nobody foresaw it, so nothing tells how far it came
            return self.named(broken)

    def named(self, error: AdapterError) -> AdapterError:
        """The error, saying where it happened if it does not already, and under which id the log has it."""
        error.instance = error.instance or self.name
        error.provider = error.provider or self.provider.key
        if not error.correlation_id:  # raised after the call, by whoever read its answer
            error.correlation_id = uuid.uuid4().hex
            log.info("failure %s of instance %s: %s", error.correlation_id, error.instance, error.message)
        return error


Instances: TypeAlias = Mapping[str, Instance]
"""By name, in the order of the configuration."""
