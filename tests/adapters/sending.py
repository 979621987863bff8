"""Drafts sent as whoever holds them does: once, and read back where what came of it is not known."""

from collections.abc import Mapping
from typing import Any

import pytest

from adapters.errors import AdapterError, Conflict, ContractBroken
from adapters.port import Adapter
from adapters.writing import Done, Draft, Lost, Place, ProblemCode, Unfit, Wish

HURRIED: Mapping[str, Any] = {"retries": 0, "write_timeout": 0.6, "task_timeout": 0.6}
"""Settings of an instance whose answers to changes are not waited for."""


async def fulfilled(adapter: Adapter, wish: Wish) -> Done:
    """What comes of a wish; nothing is sent where it is so already."""
    draft = await adapter.draft(wish)
    return draft.done or await sent(adapter, draft)


async def sent(adapter: Adapter, draft: Draft) -> Done:
    """What comes of a draft that is sent. Raises the error that leaves it open, or that refuses it."""
    try:
        body = await adapter.transport.send(draft.request)
    except AdapterError as error:
        if not (error.may_have_happened or isinstance(error, Conflict)):
            raise
        return await read_back(draft, error)
    try:
        return draft.read(body)
    except ContractBroken as error:
        return await read_back(draft, error)


async def read_back(draft: Draft, error: AdapterError) -> Done:
    """What is seen to have come of it after all; raises the error where nothing is."""
    done = await draft.read_back(Lost(isinstance(error, Conflict)))
    if done is None:
        raise error
    return done


async def problems(adapter: Adapter, wish: Wish) -> list[tuple[Place, ProblemCode]]:
    """What is wrong with a wish, and where."""
    with pytest.raises(Unfit) as unfit:
        await adapter.draft(wish)
    found = unfit.value.problems
    assert all(problem.message.endswith(".") for problem in found)
    return [(problem.place, problem.code) for problem in found]


def asked(imitation: Any, request: Any) -> list[Any]:
    """The calls of the journal that are of a request, whole."""
    target = request.route.format(**request.ids)
    called = [call for call in imitation.journal.asked if call.method == request.method]
    return [call for call in called if call.path.endswith(target)]
