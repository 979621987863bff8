"""What can be done in an instance, or to a connection, and why not."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import strawberry
from strawberry.types import Info

from adapters import model
from adapters.capabilities import OF_A_CONNECTION, OF_AN_INSTANCE, Capability, Refusal, refusals
from gateway import deeds, instances
from gateway.context import Context
from gateway.schema.fields import described
from gateway.schema.records import word


@strawberry.type(description="Whether something can be done, and why not.")
class Ability:
    capability: object = described("What it is.", word(Capability))
    allowed: bool = described("Whether it can be done now, as far as is known without asking the upstream.")
    reason: object = described("Why it cannot; null where it can.", Optional[word(Refusal)])
    message: str | None = described("The reason in a sentence.")


class Able(NamedTuple):
    """What `Ability` reads."""

    capability: Capability
    reason: Refusal | None
    allowed: bool
    message: str | None


def abilities(info: Info[Context, None], instance: instances.Instance, of: model.Connection | None) -> Sequence[Able]:
    """What can be done in an instance, or to one of its connections."""
    known = info.context.abilities
    key = instance.name, None if of is None else id(refusals(of))
    if key not in known:
        actions = OF_AN_INSTANCE if of is None else OF_A_CONNECTION
        why = ((action, deeds.refused(instance, action, info.context.caller, of)) for action in actions)
        known[key] = [Able(action, reason, reason is None, reason and reason.description) for action, reason in why]
    return known[key]
