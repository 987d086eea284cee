"""S07: at every interface, the hashes of a sign-in follow from the typed text alone, one by one and eight at once.

The hashes are counted, so that no machine is too busy for this test. `test_s07_uniform_answer` measures the time.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people.domains import add_domain
from sparekey.core.sign_in.pins import MEMORY_KIB, PASSES
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, ROOT, an_instance
from tests.quick_argon2 import Hash, recorded_hashes
from tests.server.asgi import Reply
from tests.server.interfaces import FLOOR_MS, Interfaces, at_devices, interfaces_of, run
from tests.server.users_of_all_kinds import FOUR_WAYS, HASHES, unlock_all_but_the_locked, users_of_all_kinds
from tools.counts import Count

Ask = Callable[[str, str, str], Coroutine[Any, Any, Reply]]
INTERFACES = ("rest", "agent", "session", "console", "self-service")
ONE_HASH = Hash(MEMORY_KIB, PASSES, 1)


@pytest.fixture
def quick(memory_database: Database) -> Iterator[Interfaces]:
    """The interfaces without a floor to speak of; the program may ask for Sales only."""
    instance = an_instance(memory_database)
    add_domain(instance, ROOT, "Sales", now=NOW)
    with interfaces_of(instance, floor_ms=1, domain="Sales") as interfaces:
        yield interfaces


def way(interfaces: Interfaces, interface: str) -> Ask:
    at_device = at_devices(interfaces, 8)
    ways: dict[str, Ask] = {
        "rest": lambda login, text, to: interfaces.rest(login, text, reply_to=to),
        "agent": lambda login, text, to: at_device(login, text, reply_to=to),
        "session": lambda login, text, to: interfaces.session(login, text, reply_to=to),
        "console": lambda login, text, to: interfaces.console(login, text, reply_to=to),
        "self-service": lambda login, text, to: interfaces.self_service(login, text, reply_to=to),
    }
    return ways[interface]


@pytest.mark.parametrize("interface", INTERFACES)
def test_s07_a_text_costs_the_same_hashes_for_everybody_at_every_interface(
    quick: Interfaces, interface: str, count: Count
) -> None:
    ask, users = way(quick, interface), users_of_all_kinds(quick, "Sales")
    texts, at_once = list(HASHES)[: count(small=4, full=len(HASHES))], count(small=3, full=8)
    costs = {kind: _costs(quick, ask, login, texts, at_once) for kind, login in users.items()}
    expected = [[ONE_HASH] * HASHES[text] for text in texts]
    expected += [[ONE_HASH] * HASHES[FOUR_WAYS] * at_once, []]
    assert {kind: cost for kind, cost in costs.items() if cost != expected} == {}


def _costs(interfaces: Interfaces, ask: Ask, login: str, texts: Sequence[str], at_once: int) -> list[list[Hash]]:
    """Return the hashes of each text, of some at once, and of an answer to no challenge."""

    async def all_of() -> list[list[Hash]]:
        costs = [await _recorded(ask(login, text, "")) for text in texts]
        costs.append(await _recorded(*(ask(login, FOUR_WAYS, "") for _ in range(at_once))))
        return [*costs, await _recorded(ask(login, FOUR_WAYS, "0" * 32))]

    costs = run(all_of())
    unlock_all_but_the_locked(interfaces.instance)
    return costs


async def _recorded(*asked: Coroutine[Any, Any, Reply]) -> list[Hash]:
    with recorded_hashes() as hashes:
        replies = await asyncio.gather(*asked)
    assert {reply.status for reply in replies} == {200}
    assert all(reply.json["result"] == "denied" for reply in replies)
    return hashes


@pytest.mark.parametrize("interface", INTERFACES)
def test_s07_a_text_of_four_readings_is_refused_after_four_floors(interfaces: Interfaces, interface: str) -> None:
    """The floor is above the worst text, if it is above one hash."""
    ask, users = way(interfaces, interface), users_of_all_kinds(interfaces, TOP_DOMAIN)
    for kind in ("unknown", "four tokens", "administrator"):
        # asyncio's timers are a millisecond coarse
        assert run(ask(users[kind], FOUR_WAYS, "")).seconds > 4 * FLOOR_MS / 1000 - 0.002
