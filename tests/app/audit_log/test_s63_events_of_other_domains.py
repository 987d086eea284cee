"""S63: of a token or device that people elsewhere used, a reader sees the rows about people in their own domains."""

from functools import partial

import pytest

from sparekey.app.audit_log.reading import list_events
from sparekey.app.devices.devices import choose_devices, revoke_at_once
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens.tokens import set_enabled_at_once, show_token, show_token_with_events
from sparekey.core.errors import NotAllowed, NotFound
from sparekey.core.permissions import Actor
from tests.app.administrators import add_tree, an_administrator
from tests.builders import NOW, PIN, ROOT, a_device, a_user, granted, token_row


def test_s63_a_token_names_no_device_elsewhere(any_server: Instance) -> None:
    add_tree(any_server)
    alice = a_user(any_server, pin=PIN, domain="Bern")
    for number, domain in enumerate(("Sales", "Support")):
        granted(a_device(any_server, f"in {domain}", domain=domain).sign_in(alice, NOW + 30 * number).outcome)
    _, reader = an_administrator(any_server, ("auditor", "Sales"))
    assert show_token(any_server, reader, alice.serial).devices == ("in Sales",)
    assert show_token(any_server, ROOT, alice.serial).devices == ("in Sales", "in Support")


def test_s63_the_audit_log_reveals_no_users_out_of_scope(any_server: Instance) -> None:
    add_tree(any_server)
    elsewhere, here = a_user(any_server, pin=PIN, domain="Support"), a_user(any_server, domain="Bern")
    device = a_device(any_server, domain="Sales")
    granted(device.sign_in(elsewhere, NOW).outcome)
    granted(device.sign_in(here, NOW).outcome)
    token_lifecycle.unassign(any_server, ROOT, elsewhere.serial, now=NOW + 60)
    token_lifecycle.assign(any_server, ROOT, elsewhere.serial, here.login, now=NOW + 60)
    _, auditor = an_administrator(any_server, ("auditor", "Sales"))
    _, chief = an_administrator(any_server, ("auditor", TOP_DOMAIN))

    def seen(reader: Actor) -> tuple[set[str | None], set[str | None]]:
        of_token = list_events(any_server, reader, serial=elsewhere.serial)
        in_hand = show_token_with_events(any_server, reader, elsewhere.serial, limit=100)
        assert [row.id for row in in_hand.rows] == [row.id for row in of_token]
        of_device = list_events(any_server, reader, device=device.device_id)
        return {row.account_id for row in of_token}, {row.account_id for row in of_device}

    assert seen(auditor) == ({here.account_id}, {here.account_id, None})
    both = {here.account_id, elsewhere.account_id}
    assert seen(chief) == (both, both | {None})


def test_s63_of_several_tokens_none_is_changed_where_one_is_elsewhere(server: Instance) -> None:
    add_tree(server)
    here, elsewhere = a_user(server, domain="Bern"), a_user(server, domain="Support")
    _, administrator = an_administrator(server, ("token administrator", "Sales"))
    with pytest.raises(NotFound):
        set_enabled_at_once(server, administrator, [here.serial, elsewhere.serial], enabled=False, now=NOW)
    assert [token_row(server, each.serial).enabled for each in (here, elsewhere)] == [True, True]
    assert set_enabled_at_once(server, administrator, [here.serial], enabled=False, now=NOW) == [here.serial]


def test_s63_a_device_that_is_only_in_sight_is_not_named(server: Instance) -> None:
    """A reader whose role in its domain shows no devices gets back the text that they sent."""
    add_tree(server)
    roles.add_role(server, ROOT, "people", ["user.view"], now=NOW)
    _, reader = an_administrator(server, ("people", "Bern"), ("domain administrator", "Support"))
    here, there = a_device(server, "till", domain="Support"), a_device(server, "the safe", domain="Bern")
    for use_case in (choose_devices, partial(revoke_at_once, now=NOW)):
        with pytest.raises(NotAllowed) as refused:
            use_case(server, reader, [here.device_id, there.device_id])
        assert "the safe" not in str(refused.value)
        assert there.device_id in str(refused.value)
    assert (here.row.revoked_at, there.row.revoked_at) == (None, None)
