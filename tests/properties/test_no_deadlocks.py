"""All use cases that change an account's rows, at once: no deadlock between transactions (the order of locks)."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sparekey.app.emergency.offline import reset, show
from sparekey.app.emergency.online import Terms, end, give_fixed, give_one_time
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.tokens.life_cycle import assign, unassign
from sparekey.app.tokens.resync import resync
from sparekey.app.tokens.tokens import set_lost
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.online import IfAvailable
from sparekey.core.errors import SparekeyError
from sparekey.core.sign_in.outcome import Asked
from sparekey.secret import Secret
from sparekey.storage.unit_of_work import Database
from tests.builders import (
    CALLED_BACK,
    NOW,
    PIN_LESS,
    ROOT,
    Device,
    User,
    a_device,
    a_user,
    an_instance,
    edit_policy,
    granted,
    submit,
)
from tests.challenges import begin, make_suspicious, reply
from tools.counts import Count

THREADS = 12
ENDS = Terms(7, IfAvailable.END)  # a sign-in with the token ends the access


@pytest.fixture
def busy(database: Database) -> tuple[Instance, list[User], list[Device]]:
    """Create three users who share two devices, in opposite orders."""
    server = an_instance(database, policy=PIN_LESS)
    users, devices = [a_user(server) for _ in range(3)], [a_device(server) for _ in range(2)]
    for number, device in enumerate(devices):
        for user in users if number else reversed(users):
            granted(device.sign_in(user, NOW + 30 * number).outcome)
    return server, users, devices


def give_and_take_a_role(server: Instance, user: User) -> None:
    for change in (roles.grant, roles.revoke):
        change(server, ROOT, "auditor", HolderKind.USER, user.login, TOP_DOMAIN, now=NOW)


def actions(server: Instance, users: list[User], devices: list[Device]) -> list[Callable[[int], object]]:
    """Each is given the number of its turn, and takes another user, device and time each time."""

    def user(turn: int) -> User:
        return users[turn % len(users)]

    def device(turn: int) -> Device:
        return devices[turn % len(devices)]

    def upload(turn: int) -> None:
        here = a_device(server)
        for each in users if turn % 2 else reversed(users):
            here.offline_success(each, NOW + 30 * turn)
        here.upload(NOW + 30 * turn)

    def read(turn: int) -> None:
        here, now = user(turn), NOW + 30 * turn
        make_suspicious(server, here, now=now)
        verdict = begin(server, here, now)
        if isinstance(verdict.outcome, Asked):
            reply(server, here, verdict, here.totp.code(here.step(now) + 1), now + 30)

    def reassign(turn: int) -> None:
        unassign(server, ROOT, user(turn).serial, now=NOW)
        assign(server, ROOT, user(turn).serial, user(turn).login, now=NOW)

    def find_again(turn: int) -> None:
        here, step = user(turn), NOW // 30 + turn
        resync(server, ROOT, here.serial, Secret(here.totp.code(step)), Secret(here.totp.code(step + 1)), now=NOW)

    return [
        read,
        reassign,
        find_again,
        lambda turn: give_and_take_a_role(server, user(turn)),
        lambda turn: give_fixed(server, ROOT, user(turn).serial, Terms(), CALLED_BACK, now=NOW + 3_601 * turn),
        lambda turn: device(turn).sign_in(user(turn), NOW + 30 * turn),
        lambda turn: submit(server, user(turn), NOW + 30 * turn),
        lambda turn: submit(server, user(turn), NOW + 30 * turn, user(turn).wrong(NOW)),
        lambda turn: device(turn).report(NOW + 30 * turn),
        lambda turn: set_lost(server, ROOT, user(turn).serial, lost=bool(turn % 2), now=NOW),
        lambda turn: reset(server, ROOT, CodeKind.PASSCODE, user(turn).login, now=NOW),
        lambda turn: show(server, ROOT, CodeKind.PASSCODE, user(turn).login, None, Showing("x"), now=NOW),
        lambda turn: give_one_time(server, ROOT, user(turn).serial, 2, ENDS, CALLED_BACK, now=NOW),
        lambda turn: end(server, ROOT, user(turn).serial, now=NOW),
        upload,
    ]


def test_concurrent_use_cases_never_deadlock(busy: tuple[Instance, list[User], list[Device]], count: Count) -> None:
    server = busy[0]
    turns = itertools.count(2)
    lock = threading.Lock()

    def take_turns(action: Callable[[int], object]) -> Iterator[BaseException]:
        for _ in range(count(small=6, full=300)):
            with lock:
                turn = next(turns)
            try:
                action(turn)
            except SparekeyError:
                pass  # a refusal in words is an answer
            except Exception as error:  # noqa: BLE001 -- collected, so that all are seen
                yield error

    with ThreadPoolExecutor(THREADS) as pool:
        everyone = [*actions(*busy), *actions(*busy)]
        failures = [failure for each in pool.map(lambda action: list(take_turns(action)), everyone) for failure in each]
    assert failures == []
    edit_policy(server, {"days": "2"})
