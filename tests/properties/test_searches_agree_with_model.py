"""Searches agree with a plain reading of their rules, for any bound of "few": every way through the indexes."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from sparekey.app.devices import devices
from sparekey.app.devices.devices import SILENT_AFTER, DeviceSearch, search_devices
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import users
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import UserEdit, UserSearch, search_users
from sparekey.app.reports.search import find
from sparekey.app.tokens import tokens
from sparekey.app.tokens.tokens import NewToken, TokenSearch, search_tokens
from sparekey.core.permissions import Actor, Grant, Permission
from sparekey.core.search_words import fold_name, is_found, typed_words, words_of
from sparekey.storage.devices import devices as stored_devices
from sparekey.storage.people import domains
from sparekey.storage.search import limits
from sparekey.storage.tables import device
from tests.builders import NOW, ROOT, a_device
from tests.properties.examples import few_examples

PARENTS = {"Sales": TOP_DOMAIN, "Bern": "Sales", "Support": TOP_DOMAIN}
NAMES = ("Anna Meier", "Änne Müller", "Ben Anders", "Meier-Huber, Zoë", "Bo", "Straße 7")
LOGINS = ("anna.meier", "Ben", "bo@corp", "u-1", "u-2", "U-3", "zoe", "x1", "x2", "meier")
SERIALS = ("SK1", "sk2", "Sk-10", "AN-1", "ME.2")
DEVICES = ("Laptop-1", "LAPTOP-2", "laptop-2", "Büro", "anna's")
TYPED = (
    "",
    "a",
    "an",
    "me",
    "mei an",
    "Meier",
    "mueller",
    "muell",
    "u",
    "x",
    "bo@c",
    "sk",
    "SK1",
    "lap",
    "buro",
    "7",
    "-",
)


@dataclass(frozen=True)
class Person:
    login: str
    name: str
    mail: str
    domain: str
    enabled: bool


@dataclass(frozen=True)
class World:
    """The rows that the test put into the database."""

    server: Instance
    people: tuple[Person, ...]
    tokens: dict[str, Person]  # by serial
    lost: frozenset[str]
    devices: dict[str, tuple[str, str]]  # id: name and domain
    revoked: frozenset[str]
    ids: dict[str, str]  # of the domains
    ends: dict[str, int]  # of tokens that have one, by serial
    contacts: dict[str, int]  # of devices that had one, by id

    def below(self, domain: str) -> set[str]:
        found = {domain}
        while more := {each for each, parent in PARENTS.items() if parent in found} - found:
            found |= more
        return found


@pytest.fixture(scope="module")
def world(shared_server: Instance) -> World:
    """Return one world for all examples: they only read."""
    server = shared_server
    for name, parent in PARENTS.items():
        add_domain(server, ROOT, name, parent, now=NOW)
    places = itertools.cycle([TOP_DOMAIN, *PARENTS])
    people = []
    for number, (login, place) in enumerate(zip(LOGINS, places, strict=False)):
        name, mail = NAMES[number % len(NAMES)], f"{login.partition('@')[0]}@example.org" if number % 3 else ""
        users.add_user(server, ROOT, login, place, "Before", "before@example.org", now=NOW)
        users.edit_user(server, ROOT, login, UserEdit(name=name, mail=mail), now=NOW)
        if number % 4 == 1:
            users.set_enabled(server, ROOT, login, enabled=False, now=NOW)
        people.append(Person(login, name, mail, place, number % 4 != 1))
    for serial, person in zip(SERIALS, people, strict=False):
        tokens.add_token(server, ROOT, person.login, NewToken(serial=serial), now=NOW)
    tokens.set_lost(server, ROOT, "sk2", lost=True, now=NOW)
    made = {
        a_device(server, name, domain=place).device_id: (name, place)
        for name, place in zip(DEVICES, places, strict=False)
    }
    gone = next(device_id for device_id, (name, _) in made.items() if name == "Büro")
    devices.revoke(server, ROOT, gone, now=NOW)
    with server.database.read() as connection:
        ids = {row.name: row.id for row in domains.list_domains(connection)}
    owners = dict(zip(SERIALS, people, strict=False))
    ends = {"AN-1": NOW + 9, "SK1": NOW + 5, "sk2": NOW + 9}
    for serial, end in ends.items():
        tokens.set_expiry(server, ROOT, serial, expires_at=end, now=NOW)
    never, *others = made
    contacts = {device_id: NOW + number // 2 for number, device_id in enumerate(others)}
    with server.database.write() as connection:
        connection.execute(update(device).where(device.c.id == never).values(last_contact=None))
        for device_id, at in contacts.items():
            stored_devices.set_last_contact(connection, device_id, at)
    return World(server, tuple(people), owners, frozenset({"sk2"}), made, frozenset({gone}), ids, ends, contacts)


@pytest.fixture(scope="module", params=["few", "many", "few of each"])
def bounds(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set the bound of "few": the usual one, so that conditions lead; none, so that lists are read; or a small one."""
    values = {"few": (5_000, 50_000, 20_000), "many": (-1, -1, 3), "few of each": (1, 2, 2)}[request.param]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("FEW", "FEW_WORDS", "LOOKED_AT"), values, strict=True):
            patch.setattr(limits, name, value)
        yield


def an_actor(world: World, place: str) -> Actor:
    if place == TOP_DOMAIN:
        return ROOT
    below = frozenset(world.ids[each] for each in world.below(place))
    return Actor("user:x", (Grant(frozenset(Permission), below),))


def is_called(person: Person, text: str) -> bool:
    typed = typed_words(text)
    return not text.strip() or (bool(typed) and is_found(words_of(person.login, person.name, person.mail), typed))


def turned(rows: list[Any], order: str) -> list[Any]:
    return rows[::-1] if order.startswith("-") else rows


PLACES = st.sampled_from([TOP_DOMAIN, *PARENTS])
WANTED = st.sampled_from(["", TOP_DOMAIN, *PARENTS])


@pytest.mark.usefixtures("bounds")
@few_examples
@given(
    st.sampled_from(TYPED),
    st.sampled_from(["", "enabled", "disabled"]),
    PLACES,
    WANTED,
    st.integers(1, 4),
    st.sampled_from(["", "login", "-login", "name", "-name"]),
)
def test_users(world: World, text: str, state: str, place: str, wanted: str, limit: int, order: str) -> None:
    seen = world.below(place) & world.below(wanted or TOP_DOMAIN)
    if wanted and wanted not in world.below(place):
        return
    fitting = [
        each
        for each in world.people
        if each.domain in seen and is_called(each, text) and (not state or each.enabled is (state == "enabled"))
    ]
    fitting.sort(key=lambda each: (fold_name(each.name) if "name" in order else "", each.login))
    expected = [each.login for each in turned(fitting, order)]
    found: list[str] = []
    search = UserSearch(text, wanted, state, order)
    while page := search_users(world.server, an_actor(world, place), search, limit, found[-1] if found else ""):
        found += [each.login for each in page]
    assert found == expected


@pytest.mark.usefixtures("bounds")
@few_examples
@given(
    st.sampled_from(TYPED),
    st.sampled_from(["", "lost", "assigned", "unassigned", "expired"]),
    st.sampled_from(["", "totp", "hotp"]),
    PLACES,
    st.integers(1, 4),
    st.sampled_from(["", "serial", "-serial", "expiry", "-expiry"]),
)
def test_tokens(world: World, text: str, state: str, kind: str, place: str, limit: int, order: str) -> None:
    now = NOW + 7
    in_state = {"lost": world.lost, "unassigned": (), "expired": {each for each, at in world.ends.items() if at <= now}}
    fitting = [
        serial
        for serial, owner in world.tokens.items()
        if owner.domain in world.below(place)
        and (serial.lower().startswith(text.strip().lower()) or is_called(owner, text))
        and serial in in_state.get(state, world.tokens)
        and kind != "hotp"
    ]
    by_end = "expiry" in order
    fitting.sort(key=lambda each: (world.ends.get(each, 2**63) if by_end else 0, each.lower(), each))
    expected = turned(fitting, order)
    found: list[str] = []
    actor, search = an_actor(world, place), TokenSearch(text, type=kind, state=state, order=order)
    while page := search_tokens(world.server, actor, search, limit, found[-1] if found else "", now=now):
        found += [each.serial for each in page]
    assert found == expected


@pytest.mark.usefixtures("bounds")
@few_examples
@given(
    st.sampled_from(TYPED),
    st.sampled_from(["", "active", "revoked", "silent"]),
    PLACES,
    st.integers(1, 4),
    st.sampled_from(["", "name", "-name", "contact", "-contact"]),
)
def test_devices(world: World, text: str, state: str, place: str, limit: int, order: str) -> None:
    now = NOW + SILENT_AFTER
    silent = {each for each in world.devices if world.contacts.get(each, 0) <= NOW}
    by_contact = "contact" in order
    fitting = sorted(
        (world.contacts.get(device_id, 0) if by_contact else fold_name(name), device_id)
        for device_id, (name, domain) in world.devices.items()
        if domain in world.below(place)
        and fold_name(name).startswith(fold_name(text.strip()))
        and (not state or (device_id in world.revoked) is (state == "revoked"))
        and (state != "silent" or device_id in silent)
    )
    expected = turned([device_id for _, device_id in fitting], order)
    found: list[str] = []
    actor, search = an_actor(world, place), DeviceSearch(text, state=state, order=order)
    while page := search_devices(world.server, actor, search, limit, found[-1] if found else "", now=now):
        found += [each.device_id for each in page]
    assert found == expected


@pytest.mark.usefixtures("bounds")
@few_examples
@given(st.sampled_from(TYPED), PLACES)
def test_one_box_is_the_three_searches(world: World, text: str, place: str) -> None:
    actor, server = an_actor(world, place), world.server
    found = find(server, actor, text, 3, now=NOW)
    if text.strip():
        assert list(found.users) == search_users(server, actor, UserSearch(text), 3)
        assert list(found.tokens) == search_tokens(server, actor, TokenSearch(text), 3, now=NOW)
        assert list(found.devices) == search_devices(server, actor, DeviceSearch(text), 3, now=NOW)
