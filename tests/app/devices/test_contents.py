"""Contents of a device: users with data and expiry, held codes, recent activity."""

import pytest

from sparekey.app.devices.contents import count_users, look_into
from sparekey.app.devices.devices import revoke
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotFound
from tests.app.administrators import add_tree, an_administrator
from tests.builders import DAY, NOW, PIN, ROOT, a_device, a_filled_device, a_user, denied, granted, set_end


def test_a_device_lists_its_users_expiries_and_codes(any_server: Instance) -> None:
    alice = a_user(any_server, "alice", pin=PIN)
    device = a_filled_device(any_server, alice, "laptop")
    a_filled_device(any_server, alice, "another", now=NOW + 60)
    found = look_into(any_server, ROOT, "laptop", now=NOW + 60)
    assert (found.device.name, found.device.domain, found.elsewhere) == ("laptop", TOP_DOMAIN, 0)
    (user,) = found.users
    assert (user.login, user.last_sign_in) == ("alice", NOW)
    assert [(each.serial, each.ends_at) for each in user.data] == [(alice.serial, (NOW // DAY + 1) * DAY)]
    assert [(each.serial, each.version) for each in user.codes] == [(alice.serial, 1), ("", 1)]
    assert user.ends_at == user.data[0].ends_at
    assert count_users(any_server, ROOT, [device.device_id, "x"]) == {device.device_id: 1}


def test_nothing_opens_past_the_end_of_token_and_account(server: Instance) -> None:
    alice = a_user(server, "alice", pin=PIN)
    a_filled_device(server, alice, "laptop")
    set_end(server, alice, token=NOW + 300, account=NOW + 400)
    (user,) = look_into(server, ROOT, "laptop", now=NOW).users
    assert user.ends_at == NOW + 300
    (user,) = look_into(server, ROOT, "laptop", now=NOW + 300).users
    assert user.data == ()


def test_recent_activity_names_its_reason(server: Instance) -> None:
    alice = a_user(server, "alice", pin=PIN)
    device = a_filled_device(server, alice, "laptop")
    denied(device.sign_in(alice, NOW + 60, alice.wrong(NOW + 60)).outcome)
    _, help_desk = an_administrator(server, ("help desk", TOP_DOMAIN))
    happened = look_into(server, help_desk, "laptop", now=NOW + 60).happened
    assert (happened[0].action, happened[0].user) == (Action.SIGN_IN_DENIED, "alice")
    assert happened[0].result != "ok"
    assert happened[-1].action == Action.DEVICE_ENROLLED
    revoke(server, ROOT, "laptop", now=NOW + 61)
    found = look_into(server, help_desk, "laptop", now=NOW + 61)
    assert (found.users, found.happened[0].action) == ((), Action.DEVICE_REVOKED)


def test_s63_users_elsewhere_are_counted_and_not_named(server: Instance) -> None:
    add_tree(server)
    device = a_device(server, "shared", domain="Sales")
    for login, domain in (("alice", "Sales"), ("bob", "Support")):
        user = a_user(server, login, pin=PIN, domain=domain)
        granted(device.sign_in(user, NOW).outcome)
    _, sales = an_administrator(server, ("help desk", "Sales"))
    found = look_into(server, sales, "shared", now=NOW)
    assert ([each.login for each in found.users], found.elsewhere) == (["alice"], 1)
    assert "bob" not in repr(found)
    _, support = an_administrator(server, ("help desk", "Support"))
    with pytest.raises(NotFound):
        look_into(server, support, "shared", now=NOW)
