"""A draft sent, once; and looked for where its answer was lost."""

import asyncio
import logging
from collections.abc import Sequence

from adapters import deadline, errors
from adapters.writing import Done, Draft, Lost, Unfit, Wish
from gateway.instances import Instance
from gateway.inventory import Inventory

log = logging.getLogger(__name__)

READ_S = 15.0
"""What reading before something is sent, and again after it, may take each."""
LOOKS = (0.0, 0.2, 0.8)
"""How much of the time for it passes before each look whether something happened."""


class Unknown(Exception):
    """Nobody can tell whether a deed was done."""

    def __init__(self, cause: errors.AdapterError) -> None:
        super().__init__("the outcome is unknown")
        self.cause = cause


class Sender:
    """Sends drafts. Nothing that was read of an instance before counts as fresh afterwards."""

    def __init__(self, inventory: Inventory, settle_s: float) -> None:
        self._inventory = inventory
        self._settle_s = settle_s

    async def send(self, instance: Instance, draft: Draft) -> Done:
        """What came of a draft. Raises AdapterError where it was certainly not carried out, and Unknown."""
        if draft.done is not None:
            return draft.done
        transport = instance.adapter.transport
        with deadline.afresh(draft.request.timeout_s or transport.write_timeout_s):
            body = await instance.ask(transport.send(draft.request))
        self._changed(instance)
        if isinstance(body, errors.Conflict):
            return await self._in_its_place(instance, draft, body)
        if isinstance(body, errors.AdapterError):
            if not body.may_have_happened:
                raise body
            return await self._looked_for(instance, draft, body)
        try:
            return draft.read(body)
        except errors.AdapterError as error:
            if draft.request.safe:
                raise
            lost = error
        except Exception:
            log.exception("an answer of instance %s cannot be made sense of", instance.name)
            lost = errors.ContractBroken("the answer cannot be made sense of")
        return await self._looked_for(instance, draft, lost)

    def _changed(self, instance: Instance) -> None:
        """Whatever came of it: what was read before is not what is there now."""
        instance.adapter.transport.forget()
        self._inventory.invalidate(instance.name)

    async def _in_its_place(self, instance: Instance, draft: Draft, conflict: errors.Conflict) -> Done:
        """What stands in the way, where that is the very thing. Raises the conflict where it is not."""
        done = await self._read_back(instance, draft, Lost(is_conflict=True), LOOKS[:1])
        if done is None:
            raise conflict
        return done

    async def _looked_for(self, instance: Instance, draft: Draft, lost: errors.AdapterError) -> Done:
        """What came of a draft whose answer was lost. Raises Unknown where that cannot be seen."""
        done = await self._read_back(instance, draft, Lost(), LOOKS)
        self._changed(instance)
        if done is None:
            raise Unknown(lost)
        return done

    async def _read_back(self, instance: Instance, draft: Draft, lost: Lost, looks: Sequence[float]) -> Done | None:
        with deadline.afresh(self._settle_s + READ_S):
            for look in looks:
                await asyncio.sleep(look * self._settle_s)
                seen = await instance.ask(draft.read_back(lost))
                if isinstance(seen, Done):
                    return seen
                instance.adapter.transport.forget()
        return None


async def drafted(instance: Instance, wish: Wish) -> Draft:
    """The draft of a wish. Raises Unfit, and AdapterError for all else."""
    unfit: list[Unfit] = []

    async def draft() -> Draft | None:
        try:
            return await instance.adapter.draft(wish)
        except Unfit as raised:
            unfit.append(raised)
            return None

    made = await instance.ask(draft())
    if isinstance(made, errors.AdapterError):
        raise made
    if made is None:
        raise unfit[0]
    return made
