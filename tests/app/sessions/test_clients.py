"""API clients: the interface, the addresses and the lifetime of a key."""

import hashlib

import pytest

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.sessions.clients import (
    KEY_PREFIX,
    ClientSearch,
    add_client,
    find_client_interface,
    list_clients,
    revoke_client,
    search_clients,
    show_client,
)
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotFound
from sparekey.core.reasons import Reason
from sparekey.secret import Secret
from tests.builders import NOW, ROOT, a_user, denied, granted, logged_events, submit

HERE = "192.0.2.7"


def test_a_key_opens_its_own_interface(any_server: Instance) -> None:
    key = add_client(any_server, ROOT, "web", now=NOW)
    interface = find_client_interface(any_server, key, HERE, NOW)
    assert interface is not None
    granted(submit(any_server, a_user(any_server), NOW, interface=interface))
    (row,) = logged_events(any_server, Action.SIGN_IN_GRANTED)
    assert row.actor == interface.actor
    assert row.actor.startswith("client:")
    (view,) = list_clients(any_server, ROOT)
    assert (view.name, view.domain, view.addresses, view.expires_at, view.revoked_at) == (
        "web",
        TOP_DOMAIN,
        "",
        None,
        None,
    )


def test_s65_the_key_is_random_and_kept_as_a_hash_only(any_server: Instance) -> None:
    first, second = (add_client(any_server, ROOT, name, now=NOW).reveal() for name in ("web", "vpn"))
    assert first != second
    assert first.startswith(KEY_PREFIX)
    assert len(first) - len(KEY_PREFIX) >= 43  # 256 bits
    assert first not in repr(logged_events(any_server, Action.CLIENT_ADDED)) + repr(list_clients(any_server, ROOT))
    with any_server.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM api_client").all()
    values = [value for row in rows for value in row]
    texts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    assert first.encode() not in b"\n".join(texts)


@pytest.mark.parametrize("wrong", ["", "spk_", "x", "spk_" + "A" * 43, "\udc80"])
def test_another_key_opens_none(server: Instance, wrong: str) -> None:
    key = add_client(server, ROOT, "web", now=NOW).reveal()
    for text in (wrong, key[:-1], key + "x", key.upper(), hashlib.sha256(key.encode()).hexdigest()):
        assert find_client_interface(server, Secret(text), HERE, NOW) is None


def test_only_users_of_its_domain_and_below_exist_for_a_client(any_server: Instance) -> None:
    for name, parent in (("Branch", TOP_DOMAIN), ("Office", "Branch"), ("Other", TOP_DOMAIN)):
        add_domain(any_server, ROOT, name, parent, now=NOW)
    interface = find_client_interface(any_server, add_client(any_server, ROOT, "web", "Branch", now=NOW), HERE, NOW)
    assert interface
    for domain in ("Branch", "Office"):
        granted(submit(any_server, a_user(any_server, domain=domain), NOW, interface=interface))
    for domain in ("Other", TOP_DOMAIN):
        refused = denied(submit(any_server, a_user(any_server, domain=domain), NOW, interface=interface))
        assert refused.reason is Reason.OUT_OF_SCOPE


@pytest.mark.parametrize(
    ("addresses", "inside", "outside"),
    [
        ("", ["192.0.2.7", "2001:db8::1", "nonsense"], []),
        ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8", "2001:db8::1", "", "nonsense"]),
        (" 192.0.2.0/24 , 2001:db8::/32", ["192.0.2.200", "2001:db8:1::1"], ["192.0.3.1", "2001:db9::1"]),
        ("192.0.2.7/24", ["192.0.2.200"], ["192.0.3.1"]),
    ],
)
def test_a_client_asks_from_its_addresses_only(
    server: Instance, addresses: str, inside: list[str], outside: list[str]
) -> None:
    key = add_client(server, ROOT, "web", addresses=addresses, now=NOW)
    assert [find_client_interface(server, key, address, NOW) is not None for address in inside] == [True] * len(inside)
    assert [find_client_interface(server, key, address, NOW) for address in outside] == [None] * len(outside)


@pytest.mark.parametrize("addresses", ["nonsense", "192.0.2.256", "192.0.2.0/33", "*", "192.0.2.1;192.0.2.2"])
def test_an_invalid_address_is_refused_with_a_reason(server: Instance, addresses: str) -> None:
    with pytest.raises(BadInput, match="not an address or network"):
        add_client(server, ROOT, "web", addresses=addresses, now=NOW)


def test_too_many_addresses_are_refused_in_words(any_server: Instance) -> None:
    addresses = ",".join(f"192.0.2.{number}" for number in range(100))
    with pytest.raises(BadInput, match="too many addresses"):
        add_client(any_server, ROOT, "web", addresses=addresses, now=NOW)


def test_a_key_ends_with_its_time(server: Instance) -> None:
    key = add_client(server, ROOT, "web", expires_at=NOW + 10, now=NOW)
    assert find_client_interface(server, key, HERE, NOW + 9)
    assert find_client_interface(server, key, HERE, NOW + 10) is None


def test_a_revoked_key_opens_nothing_and_stays_revoked(any_server: Instance) -> None:
    key = add_client(any_server, ROOT, "web", now=NOW)
    revoke_client(any_server, ROOT, "web", now=NOW + 1)
    revoke_client(any_server, ROOT, "web", now=NOW + 2)
    assert find_client_interface(any_server, key, HERE, NOW + 1) is None
    assert list_clients(any_server, ROOT)[0].revoked_at == NOW + 1
    assert logged_events(any_server, Action.CLIENT_REVOKED)


def test_names(server: Instance) -> None:
    add_client(server, ROOT, "web", now=NOW)
    with pytest.raises(Conflict):
        add_client(server, ROOT, "web", now=NOW)
    with pytest.raises(NotFound):
        revoke_client(server, ROOT, "vpn", now=NOW)
    with pytest.raises(NotFound):
        add_client(server, ROOT, "vpn", "nowhere", now=NOW)
    with pytest.raises(BadInput):
        add_client(server, ROOT, "", now=NOW)


def test_one_client_is_shown_and_none_that_is_not_there(any_server: Instance) -> None:
    add_client(any_server, ROOT, "vpn", TOP_DOMAIN, "192.0.2.0/24", NOW + 60, now=NOW)
    revoke_client(any_server, ROOT, "vpn", now=NOW + 1)
    shown = show_client(any_server, ROOT, "vpn")
    assert [shown] == list_clients(any_server, ROOT)
    assert (shown.addresses, shown.created_at, shown.revoked_at) == ("192.0.2.0/24", NOW, NOW + 1)
    with pytest.raises(NotFound):
        show_client(any_server, ROOT, "web")


def test_clients_are_found_by_name_domain_and_state(any_server: Instance) -> None:
    for name, parent in (("Sales", TOP_DOMAIN), ("Bern", "Sales")):
        add_domain(any_server, ROOT, name, parent, now=NOW)
    for name, domain, end in (("Portal", "Bern", None), ("portal 50%", "Sales", NOW), ("vpn", TOP_DOMAIN, NOW + 1)):
        add_client(any_server, ROOT, name, domain, expires_at=end, now=NOW)
    revoke_client(any_server, ROOT, "vpn", now=NOW)

    def found(**wanted: str) -> set[str]:
        return {each.name for each in search_clients(any_server, ROOT, ClientSearch(**wanted), now=NOW)}

    assert found() == {"Portal", "portal 50%", "vpn"}
    assert found(text="PORTAL") == found(domain="Sales") == {"Portal", "portal 50%"}
    assert found(text="0%") == found(state="expired") == {"portal 50%"}
    assert found(text="_") == set()
    assert found(state="in-use") == found(domain="Bern") == {"Portal"}
    assert found(state="revoked") == {"vpn"}
    with pytest.raises(BadInput):
        found(state="asleep")
    (first,) = search_clients(any_server, ROOT, ClientSearch(text="portal"), 1, now=NOW)
    rest = search_clients(any_server, ROOT, ClientSearch(text="portal"), after=first.name, now=NOW)
    assert {first.name, *(each.name for each in rest)} == {"Portal", "portal 50%"}
