"""Refusals that reveal names outside an operator's domains: worded like others, counted per operator, alarmed."""

import json

import pytest

from sparekey.app.authorisation import scope_of
from sparekey.app.instance import Instance
from sparekey.app.lookup import get_domain
from sparekey.app.people import imports as user_imports
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import add_user
from sparekey.app.sessions.clients import add_client
from sparekey.app.tokens import imports as token_imports
from sparekey.app.tokens.tokens import NewToken, add_token
from sparekey.core.audit_log.actions import Action
from sparekey.core.change_limit import HOUR, NAMES_OF_AN_ALARM
from sparekey.core.errors import Conflict
from sparekey.core.permissions import Actor, Grant, Permission
from tests.builders import NOW, ROOT, logged_events

SEED = "00112233445566778899aabbccddeeff00112233"


def an_operator(server: Instance, name: str = "alice") -> Actor:
    """One who may do everything, in Sales only."""
    with server.database.read() as connection:
        inside = scope_of(connection, get_domain(connection, ROOT, "Sales", Permission.DOMAIN_VIEW).id)
    return Actor(f"user:{name}", (Grant(frozenset(Permission), inside),))


def a_server(server: Instance, *kinds: str) -> Instance:
    """Add names of these kinds in Support, and the same number in Sales."""
    for domain in ("Sales", "Support"):
        add_domain(server, ROOT, domain, now=NOW)
        for number in range(NAMES_OF_AN_ALARM):
            login = f"{domain.lower()}{number}"
            add_user(server, ROOT, login, domain, now=NOW)
            for kind in kinds:
                add_name(server, ROOT, kind, domain, number, login, domain, NOW)
    add_user(server, ROOT, "carol", "Sales", now=NOW)
    return server


def add_name(
    server: Instance, actor: Actor, kind: str, named_for: str, number: int, login: str, domain: str, now: int
) -> None:
    """Add an object with the number's name of one domain to another domain, a token to the user with this login."""
    name = f"{named_for.lower()}{number}"
    if kind == "user":
        add_user(server, actor, name, domain, now=now)
    elif kind == "token":
        add_token(server, actor, login, NewToken(serial=name), now=now)
    elif kind == "client":
        add_client(server, actor, name, domain, now=now)
    else:
        add_domain(server, actor, name, domain, now=now)


def alarms(server: Instance) -> list[tuple[str, object]]:
    return [(row.actor, json.loads(row.detail)) for row in logged_events(server, Action.ALARM_NAMES_LEARNT)]


def try_name(server: Instance, actor: Actor, kind: str, domain: str, number: int, now: int = NOW) -> str:
    """Return the message of the refusal, without the name."""
    with pytest.raises(Conflict) as caught:
        add_name(server, actor, kind, domain, number, "carol", "Sales", now)
    assert caught.value.error == "conflict"
    return f"{caught.value.message}; {caught.value.do}".replace(f"{domain.lower()}{number}", "NAME")


@pytest.mark.parametrize("kind", ["user", "token", "client", "domain"])
def test_s63_ten_names_of_other_domains_raise_an_alarm(server: Instance, kind: str) -> None:
    there = a_server(server, *({kind} - {"user"}))
    alice, bob = an_operator(there), an_operator(there, "bob")
    own = {try_name(there, alice, kind, "Sales", number) for number in range(NAMES_OF_AN_ALARM)}
    assert alarms(there) == []
    hidden = {try_name(there, alice, kind, "Support", number) for number in range(NAMES_OF_AN_ALARM - 1)}
    try_name(there, bob, kind, "Support", 0)
    assert alarms(there) == []
    hidden.add(try_name(there, alice, kind, "Support", NAMES_OF_AN_ALARM - 1))
    assert alarms(there) == [("user:alice", {"operator": "user:alice"})]
    assert (len(own), own) == (1, hidden)  # the words do not tell which


def test_s63_all_kinds_count_together_for_an_hour(server: Instance) -> None:
    there = a_server(server, "token", "client", "domain")
    alice = an_operator(there)
    kinds = ("user", "token", "client", "domain")
    for number in range(NAMES_OF_AN_ALARM - 1):
        try_name(there, alice, kinds[number % 4], "Support", number)
    try_name(there, alice, "user", "Support", 9, NOW + HOUR)
    assert alarms(there) == []
    for number in range(NAMES_OF_AN_ALARM - 1):
        try_name(there, alice, kinds[number % 4], "Support", number, NOW + HOUR)
    assert len(alarms(there)) == 1


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("kind", ["users", "tokens"])
def test_s63_a_file_counts_for_each_name(server: Instance, kind: str, dry_run: bool) -> None:
    there = a_server(server, *({"tokens": ["token"]}.get(kind, [])))

    def import_file(domain: str) -> None:
        numbers = range(NAMES_OF_AN_ALARM)
        if kind == "users":
            lines = "".join(f"{domain.lower()}{number}\n" for number in numbers)
            data = f"login\n{lines}".encode()
            found = user_imports.import_users(there, an_operator(there), data, now=NOW, domain="Sales", dry_run=dry_run)
            assert (found.added, len(found.refusals)) == (0, len(numbers))
            return
        lines = "".join(f"{domain.lower()}{number},totp,{SEED}\n" for number in numbers)
        data = f"serial,type,seed\n{lines}".encode()
        report = token_imports.import_tokens(
            there, an_operator(there), data, None, now=NOW, domain="Sales", dry_run=dry_run
        )
        assert (report.added, len(report.refusals)) == (0, len(numbers))

    import_file("Sales")
    assert alarms(there) == []
    import_file("Support")
    assert len(alarms(there)) == 1


def test_an_operator_of_all_domains_learns_nothing(server: Instance) -> None:
    there = a_server(server)
    for number in range(NAMES_OF_AN_ALARM):
        try_name(there, ROOT, "user", "Support", number)
    assert alarms(there) == []
