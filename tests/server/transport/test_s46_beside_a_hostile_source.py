"""Beside a hostile host, and behind its own address: devices, administrators, passkeys and sessions get in."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from sparekey.agent.contact.server_client import DEFAULT_PATIENCE
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.clock import now as clock_now
from sparekey.server.settings import read_settings
from sparekey.wire.agent_api import SignInRequest, SyncRequest
from sparekey.wiring.server import open_instance
from tests.app.sessions.test_passkeys import a_passkey
from tests.builders import PIN, ROOT, User, a_device, a_user
from tests.server.serving import Serving, a_data_directory, serving
from tests.server.transport.hosts import HOSTILE, Browser, Laptop, Reply, hostile
from tools.counts import Count

pytestmark = [pytest.mark.services, pytest.mark.real_argon2, pytest.mark.alone]

ELSEWHERE = "127.0.0.9"
PATIENCE = 3.0  # seconds that an administrator waits for a page
AT_ONCE = 8
PAGE = "/console/users"


@dataclass(frozen=True)
class Place:
    """A running server, and its instance in this process."""

    served: Serving
    instance: Instance

    def administrator(self) -> User:
        """Return a new user who may see users at the console, and has signed in nowhere."""
        user = a_user(self.instance, pin=PIN, now=clock_now())
        roles.grant(self.instance, ROOT, "auditor", HolderKind.USER, user.login, TOP_DOMAIN, now=clock_now())
        return user

    def laptop(self, address: str) -> tuple[Laptop, User]:
        """Return a new device that has asked this server nothing yet, and its user."""
        user = a_user(self.instance, pin=PIN, now=clock_now())
        return Laptop(self.served, address, a_device(self.instance, now=clock_now())), user


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    data: Path = a_data_directory(tmp_path_factory.mktemp("beside"))
    instance = open_instance(data, read_settings(data, {}))
    with serving(data) as served:
        yield Place(served, instance)
    instance.database.close()


def verify_in(browser: Browser, answer: Reply) -> None:
    """Verify that the sign-in was answered in time, and that the session shows a page in time."""
    assert (answer.status, answer.seconds < PATIENCE) == (303, True), (answer.status, answer.seconds)
    verify_shows(browser)


def verify_shows(browser: Browser) -> None:
    page = browser.get(PAGE)
    assert (page.status, page.seconds < PATIENCE) == (200, True), (page.status, page.seconds)
    assert b"<h1>Users</h1>" in page.body


def use(laptop: Laptop, user: User) -> str:
    """Contact the server, sign the user in, and return the result."""
    laptop.client.sync(SyncRequest(held=[], checkpoint="", hardware_bound=False))
    passcode = user.typed(clock_now()).reveal()
    return laptop.client.sign_in(SignInRequest(login=user.login, passcode=passcode, check="")).result


def everything(count: Count) -> dict[str, int]:
    """Return the connections of a host that does everything at once that an anonymous host can do."""
    waiting = count(small=10, full=300)
    asking = dict.fromkeys(["console", "self-service", "session", "key", "device", "page"], count(small=5, full=10))
    return {"silent": waiting, "idle": waiting, "body": waiting, "head": count(small=5, full=60)} | asking


def test_s46_devices_behind_the_address_of_a_hostile_host_are_served(place: Place, count: Count) -> None:
    laptops = [place.laptop(HOSTILE) for _ in range(count(small=8, full=500))]
    with hostile(place.served, everything(count)), ThreadPoolExecutor(AT_ONCE) as threads:
        results = list(threads.map(lambda pair: use(*pair), laptops))
    assert results == ["granted"] * len(laptops)
    assert max(seconds for laptop, _ in laptops for seconds in laptop.seconds) < DEFAULT_PATIENCE


def test_s46_administrators_get_in_beside_a_hostile_host(place: Place, count: Count) -> None:
    rounds = count(small=1, full=20)
    known, elsewhere = Browser(place.served, HOSTILE), partial(Browser, place.served, ELSEWHERE)
    verify_in(known, known.sign_in(place.administrator()))
    people = [place.administrator() for _ in range(rounds)]
    keys = [a_passkey(place.instance, place.administrator(), clock_now()) for _ in range(rounds)]
    with hostile(place.served, everything(count)):
        for person, key in zip(people, keys, strict=True):
            verify_shows(known)
            verify_in(browser := elsewhere(), browser.sign_in(person))
            verify_in(browser := elsewhere(), browser.sign_in_with(key))


def test_s46_refused_sign_ins_from_one_host_keep_no_administrator_out(place: Place, count: Count) -> None:
    people = [place.administrator() for _ in range(count(small=4, full=38))]
    with hostile(place.served, {"console": 30, "self-service": 30}):
        for person in people:
            verify_in(browser := Browser(place.served, ELSEWHERE), browser.sign_in(person))
