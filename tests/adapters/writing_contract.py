"""What every adapter that can change something promises, tried over real HTTP against its provider's imitation.

A subclass is one of `tests.adapters.contract.AdapterContract` as well, and says what to wish for:

    class TestAcme(WritingContract):
        ...
        unseen = frozenset({Capability.CHECK_ENDPOINT})

        def wishes(self, rows: Sequence[Connection]) -> Mapping[Capability, Wish]:
            return {Capability.DELETE: Delete(rows[0]), ...}
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import pytest

from adapters.capabilities import OF_AN_INSTANCE
from adapters.errors import AdapterError, ContractBroken
from adapters.imitation import Knobs
from adapters.model import Connection
from adapters.port import Capability
from adapters.writing import Done, Draft, Lost, Start, Wish
from tests.adapters.contract import AdapterContract
from tests.adapters.contracted import NONSENSE, Contracted, listed
from tests.adapters.sending import HURRIED, asked, sent

LOSSES: Mapping[str, Mapping[str, Any]] = {
    "reset": {"reset": True, "late": True},
    "hung": {"hang": True, "late": True},
    "cut": {"cut": True},
    "broken": {"status": 500, "late": True},
    "nonsense": {"body": "<html>", "late": True},
}
"""How an answer is lost of what was carried out."""
FAILURES: Mapping[str, Mapping[str, Any]] = {
    "reset": {"reset": True},
    "hung": {"hang": True},
    "broken": {"status": 500},
    "refused": {"status": 400},
    "in conflict": {"status": 409},
}
"""How a call comes to nothing."""


class WritingContract(AdapterContract):
    """Inherit this in place of `AdapterContract`, and these promises are tried as well."""

    unseen: ClassVar[frozenset[Capability]] = frozenset()
    """The actions of which nothing that can be read tells whether they were carried out."""
    writing: ClassVar[Mapping[str, Any]] = {}
    """Further settings of the instance, so that all that its provider can do is done in it."""

    def wishes(self, rows: Sequence[Connection]) -> Mapping[Capability, Wish]:
        """A wish for each action of the provider, which can be fulfilled."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def writable(self) -> AsyncGenerator[Contracted]:
        """A fresh adapter in whose upstream nothing was changed yet, and which waits for no answer for long."""
        settings = {**self.settings, **self.writing, **HURRIED}
        async with self.over(self.imitation(), **settings) as contracted:
            yield contracted

    async def drafts(self, contracted: Contracted) -> dict[Capability, Draft]:
        wishes = self.wishes(await listed(contracted.adapter))
        return {action: await contracted.adapter.draft(wish) for action, wish in wishes.items()}

    async def unsafe(self) -> list[Capability]:
        """The actions whose calls change something, or make the upstream work."""
        async with self.writable() as contracted:
            return [action for action, draft in (await self.drafts(contracted)).items() if not draft.request.safe]

    # --- drafts ---

    async def test_there_is_a_wish_for_each_action(self, calm: Contracted):
        wishes = self.wishes(await listed(calm.adapter))
        assert wishes.keys() == self.provider.capabilities & {*OF_AN_INSTANCE, Capability.RUN_MANY}
        refused = [action for action in OF_AN_INSTANCE if calm.adapter.refuses(action) is not None]
        assert self.provider.capabilities.issuperset(refused), "what the provider lacks need not be refused"

    async def test_drafting_changes_nothing_and_drafts_the_same_again(self):
        async with self.writable() as contracted:
            first, second = await self.drafts(contracted), await self.drafts(contracted)
            assert contracted.imitation.effects == []
            for action, draft in first.items():
                assert draft.done is None
                assert (draft.request, draft.changes) == (second[action].request, second[action].changes)
                assert asked(contracted.imitation, draft.request) == []

    async def test_what_is_not_a_read_is_never_repeated(self):
        async with self.writable() as contracted:
            for draft in (await self.drafts(contracted)).values():
                assert draft.request.safe == (draft.request.method == "GET")

    async def test_any_answer_is_one_that_can_be_read_or_breaks_the_contract(self):
        async with self.writable() as contracted:
            for draft in (await self.drafts(contracted)).values():
                for body in (*NONSENSE, '{"body": {}}', '{"body": {"childRefreshes": {}}}', '{"job": {"id": "x"}}'):
                    self.check_read(draft, body.encode())

    def check_read(self, draft: Draft, body: bytes) -> None:
        try:
            assert isinstance(draft.read(body), Done)
        except ContractBroken as error:
            self.check_error(error)

    async def test_no_draft_prints_a_credential(self):
        async with self.writable() as contracted:
            for draft in (await self.drafts(contracted)).values():
                assert not any(secret in f"{draft!r} {draft.changes}" for secret in self.secrets)

    async def test_each_start_is_in_one_group(self, calm: Contracted):
        starts = [Start(row) for row in await listed(calm.adapter)]
        groups = calm.adapter.grouped(starts)
        assert sorted(ids(groups)) == sorted(ids([starts]))
        is_able = Capability.RUN_MANY in self.provider.capabilities
        assert any(len(group) > 1 for group in groups) == is_able
        assert calm.adapter.grouped([]) == []

    # --- what comes of them ---

    async def test_what_is_sent_is_what_was_drafted_and_is_carried_out_once(self):
        async with self.writable() as contracted:
            actions = list(await self.drafts(contracted))
        for action in actions:
            async with self.writable() as contracted:
                draft = (await self.drafts(contracted))[action]
                done = await sent(contracted.adapter, draft)
                assert not done.was_read_back, action
                (call,) = asked(contracted.imitation, draft.request)
                assert (call.json(), call.query) == (draft.request.json, urlencode(draft.request.query)), action
                assert bool(contracted.imitation.effects) == (not draft.request.safe), action

    @pytest.mark.parametrize("loss", LOSSES)
    async def test_what_was_carried_out_is_seen_though_its_answer_is_lost(self, loss: str):
        for action in await self.unsafe():
            async with self.writable() as contracted:
                draft = (await self.drafts(contracted))[action]
                contracted.imitation.knobs = Knobs(times=1, only=target(draft), **LOSSES[loss])
                if action in self.unseen:
                    with pytest.raises(AdapterError):
                        await sent(contracted.adapter, draft)
                else:
                    done = await sent(contracted.adapter, draft)
                    assert done.was_read_back or says_nothing(draft), action
                assert contracted.imitation.effects, action
                assert len(asked(contracted.imitation, draft.request)) == 1

    @pytest.mark.parametrize("failure", FAILURES)
    async def test_what_was_not_carried_out_is_never_said_to_have_been(self, failure: str):
        for action in await self.unsafe():
            async with self.writable() as contracted:
                draft = (await self.drafts(contracted))[action]
                contracted.imitation.knobs = Knobs(times=1, only=target(draft), **FAILURES[failure])
                with pytest.raises(AdapterError) as raised:
                    await sent(contracted.adapter, draft)
                self.check_error(raised.value)
                assert contracted.imitation.effects == [], action
                assert await draft.read_back(Lost()) is None, action


def ids(groups: Sequence[Sequence[Start]]) -> list[str]:
    return [start.connection.native_id for group in groups for start in group]


def target(draft: Draft) -> str:
    """The path that a draft is sent to."""
    return draft.request.route.format(**draft.request.ids)


def says_nothing(draft: Draft) -> bool:
    """Whether whatever is answered says no more than that it was done."""
    try:
        return draft.read(b"<html>") == Done()
    except ContractBroken:
        return False
