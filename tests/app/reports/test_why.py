"""`why`: the explanation for the server and each device agrees with earlier use cases."""

import pytest

from sparekey.app.devices import devices
from sparekey.app.emergency.online import Terms, give_fixed
from sparekey.app.instance import Instance
from sparekey.app.lookup import ELSEWHERE
from sparekey.app.offline.sync import save_contact
from sparekey.app.people import users
from sparekey.app.reports.why import explain
from sparekey.app.tokens import tokens
from sparekey.core.emergency.online import IfAvailable
from sparekey.core.errors import NotFound
from sparekey.core.explain.online import Deed, Line, RuleResult, Side
from sparekey.core.offline.self_report import SelfReport
from sparekey.core.permissions import Actor
from sparekey.core.policy.offline import FIELDS
from tests.app.administrators import a_full_device, add_tree, an_administrator
from tests.builders import (
    CALLED_BACK,
    DAY,
    MIDNIGHT,
    NOW,
    ROOT,
    User,
    a_device,
    a_filled_device,
    a_user,
    denied,
    edit_policy,
    submit,
)

LATER = MIDNIGHT + DAY // 2


def lines_of(
    server: Instance, user: User, side: Side, device: str | None = None, actor: Actor = ROOT, now: int = NOW
) -> dict[str, Line]:
    """Return the explanation's lines by rule, for one token and at most one device."""
    found = explain(server, actor, user.login, device, now=now).lines
    return {line.rule: line for line in found if line.side is side}


def test_a_user_without_obstacles(any_server: Instance) -> None:
    user = a_user(any_server, pin="4711abcd")
    a_filled_device(any_server, user, "laptop")
    said = explain(any_server, ROOT, user.login, now=NOW)
    assert [line for line in said.lines if line.verdict is RuleResult.STOPS] == []
    online, offline = (line for line in said.lines if line.rule == "sign-in")
    assert online.why == f"possible with: PIN and tokencode of {user.serial}"
    assert offline.about == "device laptop"
    for words in (f"the tokencode of {user.serial} until", f"the emergency tokencode of {user.serial}", "passcode"):
        assert words in offline.why
    assert {line.rule for line in said.lines} >= {f"policy {name}" for name in FIELDS}
    assert {line.source for line in said.lines if line.rule == "policy days"} == {"policy 'Default'"}


def test_explain_without_a_device(server: Instance) -> None:
    user = a_user(server)
    offline = lines_of(server, user, Side.OFFLINE)["sign-in"]
    assert (offline.verdict, offline.about) == (RuleResult.STOPS, f"user {user.login}")
    assert "sign in once" in offline.mend


def test_a_device_that_the_user_never_used(server: Instance) -> None:
    user = a_user(server)
    a_device(server, "laptop")
    lines = lines_of(server, user, Side.OFFLINE, "laptop")
    assert lines["sign-in"].verdict is RuleResult.STOPS
    assert lines["a token was used here"].verdict is RuleResult.STOPS
    assert "policy days" in lines


def test_a_disabled_user(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    a_filled_device(server, user)
    users.set_enabled(server, ROOT, user.login, enabled=False, now=NOW)
    online, offline = lines_of(server, user, Side.ONLINE), lines_of(server, user, Side.OFFLINE)
    assert online["sign-in"].verdict is offline["sign-in"].verdict is RuleResult.STOPS
    assert online["enabled"].mend or online["enabled"].about.startswith("token")
    assert offline["offline data"].mend.startswith(f"sparekey user enable {user.login}")


def test_a_locked_user(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    device = a_full_device(server, user)
    for failure in range(5):
        denied(submit(server, user, LATER + failure, user.wrong(LATER)))
    online, offline = (lines_of(server, user, side, now=LATER + 9) for side in Side)
    assert online["not locked"].verdict is RuleResult.STOPS
    assert online["not locked"].mend == f"sparekey user unlock {user.login}"
    assert online["not locked"].source == "lockout policy 'Default'"
    # a lock stops new units and voids none
    assert f"the tokencode of {user.serial}" in offline["sign-in"].why
    assert offline["new offline data"].verdict is RuleResult.WAITS
    # from its next contact on the device takes emergency codes only
    row = device.row
    with server.database.write() as connection:
        save_contact(connection, row, SelfReport(hardware_bound=False), now=LATER + 10)
    offline = lines_of(server, user, Side.OFFLINE, now=LATER + 11)
    assert "the tokencode of" not in offline["sign-in"].why
    assert offline["tokencodes"].verdict is RuleResult.STOPS


def test_explain_after_wrong_passcodes_in_a_row(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    a_filled_device(server, user)
    for failure in range(3):
        denied(submit(server, user, NOW + failure, user.wrong(NOW)))
    online, offline = (lines_of(server, user, side, now=NOW + 9) for side in Side)
    assert online["sign-in"].verdict is RuleResult.OK
    assert online["next tokencode"].verdict is RuleResult.ASKS
    assert offline["new offline data"].verdict is RuleResult.WAITS
    assert offline["sign-in"].verdict is RuleResult.OK


def test_a_lost_token(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    a_filled_device(server, user)
    tokens.set_lost(server, ROOT, user.serial, lost=True, now=NOW)
    online, offline = (lines_of(server, user, side) for side in Side)
    assert online["sign-in"].verdict is RuleResult.STOPS
    assert online["not lost"].verdict is RuleResult.STOPS
    assert "the tokencode of" not in offline["sign-in"].why
    assert f"the emergency tokencode of {user.serial}" in offline["sign-in"].why
    assert offline["tokencode"].verdict is RuleResult.STOPS
    assert offline["emergency tokencode"].verdict is RuleResult.OK
    assert offline["up to date"].verdict is RuleResult.WAITS


def test_temporary_access(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    given = give_fixed(server, ROOT, user.serial, Terms(if_available=IfAvailable.DENY), CALLED_BACK, now=NOW)
    online = lines_of(server, user, Side.ONLINE)
    assert online["sign-in"].why == f"possible with: temporary fixed tokencode for {user.serial}"
    assert online["temporary tokencodes"].verdict is RuleResult.STOPS
    assert repr(given) not in repr(online)


def test_a_policy_s_obstacle_names_its_source(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    a_filled_device(server, user)
    edit_policy(server, {"enabled": "off", "server_down": "off"})
    offline = lines_of(server, user, Side.OFFLINE)
    assert (offline["offline data"].verdict, offline["offline data"].source) == (RuleResult.STOPS, "policy 'Default'")
    assert "enabled=on" in offline["offline data"].mend
    assert offline["while the server is down"].verdict is RuleResult.WAITS
    edit_policy(server, {"enabled": "on", "minimum_passcode_length": "16"})
    assert lines_of(server, user, Side.OFFLINE)["tokencode"].source == "policy 'Default'"


def test_data_that_have_run_out(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    a_filled_device(server, user)  # holds the rest of the day
    offline = lines_of(server, user, Side.OFFLINE, now=LATER)
    assert offline["tokencode"].verdict is RuleResult.STOPS
    assert offline["sign-in"].verdict is RuleResult.OK  # the codes last longer
    offline = lines_of(server, user, Side.OFFLINE, now=LATER + 31 * DAY)
    assert offline["sign-in"].verdict is RuleResult.STOPS


def test_a_revoked_device(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    device = a_filled_device(server, user)
    devices.revoke(server, ROOT, device.device_id, now=NOW)
    assert lines_of(server, user, Side.OFFLINE, device.device_id)["sign-in"].verdict is RuleResult.STOPS


def test_s63_a_device_elsewhere_has_no_name(server: Instance) -> None:
    add_tree(server)
    user = a_user(server, domain="Bern", pin="4711abcd")
    device = a_filled_device(server, user, "in the top domain")
    _, desk = an_administrator(server, ("help desk", "Sales"))
    said = explain(server, desk, user.login, now=NOW)
    assert "in the top domain" not in repr(said)
    assert f"device {ELSEWHERE}" in {line.about for line in said.lines}
    with pytest.raises(NotFound):
        explain(server, desk, user.login, device.device_id, now=NOW)
    _, elsewhere = an_administrator(server, ("help desk", "Support"))
    with pytest.raises(NotFound):
        explain(server, elsewhere, user.login, now=NOW)


def test_every_offline_remedy_is_an_offered_action(server: Instance) -> None:
    """Pages have no commands: they use the remedy's action and its object."""
    user = a_user(server, pin="4711abcd")
    device = a_filled_device(server, user, "laptop")
    edit_policy(server, {"enabled": "off", "emergency_passcode": "off", "minimum_passcode_length": "16"})
    tokens.set_lost(server, ROOT, user.serial, lost=True, now=NOW)
    for failure in range(5):
        denied(submit(server, user, NOW + failure, user.wrong(NOW)))
    devices.revoke(server, ROOT, device.device_id, now=NOW)
    lines = explain(server, ROOT, user.login, "laptop", now=NOW + 9).lines
    commanded = [line for line in lines if "sparekey " in line.mend]
    assert {deed for line in commanded for deed in line.deeds} >= {
        Deed.CHANGE_POLICY,
        Deed.UNLOCK_USER,
        Deed.FIND_TOKEN,
        Deed.INVITE_DEVICE,
    }
    for line in commanded:
        assert line.deeds, line
        assert line.name in {user.login, user.serial, "laptop", ""}, line
