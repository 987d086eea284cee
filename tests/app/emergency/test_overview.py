"""Data for the page of an emergency code: each device with its obstacles, and general obstacles."""

from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.overview import passcode_overview, tokencode_overview
from sparekey.app.instance import Instance
from sparekey.app.lookup import ELSEWHERE
from sparekey.app.reports.why import explain
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.offline.units import Obstacle
from sparekey.storage import tables
from tests.app.administrators import add_tree, an_administrator
from tests.builders import DAY, HELP_DESK, NOW, PIN, ROOT, a_device, a_filled_device, a_user, edit_policy, logged_events


def test_the_overview_offers_held_codes_and_names_other_obstacles(any_server: Instance) -> None:
    user = a_user(any_server, "alice", pin=PIN)
    a_filled_device(any_server, user, "laptop")
    a_device(any_server, "kiosk", supports_offline=False).sign_in(user, NOW + 30)
    a_device(any_server, "new").sign_in(user, NOW + 60)
    found = tokencode_overview(any_server, HELP_DESK, user.serial, now=NOW + 60)
    rows = {row.held.device: row for row in found.devices}
    assert (rows["laptop"].held.version, rows["laptop"].can_show, rows["laptop"].obstacles) == (1, True, ())
    assert (rows["kiosk"].can_show, rows["kiosk"].obstacles) == (False, (Obstacle.NO_OFFLINE_SUPPORT,))
    assert (rows["new"].can_show, rows["new"].obstacles) == (False, (Obstacle.NOT_DOWNLOADED,))
    assert (found.obstacles, found.login, found.holds_any) == ((), "alice", True)
    later = passcode_overview(any_server, HELP_DESK, "alice", now=NOW + 31 * DAY)
    laptop = next(row for row in later.devices if row.held.device == "laptop")
    assert (laptop.expired, laptop.can_show) == (True, False)


def test_a_general_obstacle_is_listed_once(server: Instance) -> None:
    user = a_user(server, "alice", pin=PIN)
    for name, at in (("laptop", NOW), ("desktop", NOW + 30)):
        a_filled_device(server, user, name, now=at)
    edit_policy(server, {"emergency_tokencode": "off"}, now=NOW + 30)
    found = tokencode_overview(server, HELP_DESK, user.serial, now=NOW + 30)
    assert found.obstacles == (Obstacle.EMERGENCY_OFF,)
    assert [(row.obstacles, row.can_show) for row in found.devices] == [((), False), ((), False)]
    assert passcode_overview(server, HELP_DESK, "alice", now=NOW + 30).obstacles == ()
    nobody = a_user(server, "bob", with_pin=True)
    without = tokencode_overview(server, HELP_DESK, nobody.serial, now=NOW)
    assert without.obstacles == (Obstacle.EMERGENCY_OFF, Obstacle.NO_PIN, Obstacle.NO_TOKEN_USED)


def test_s63_a_device_elsewhere_that_has_nothing_of_the_code_has_no_name(server: Instance) -> None:
    add_tree(server)
    user = a_user(server, "alice", pin=PIN, domain="Sales")
    a_device(server, "secret-kiosk", domain="Support", supports_offline=False).sign_in(user, NOW)
    _, hedy = an_administrator(server, ("help desk", "Sales"), domain="Sales")
    (row,) = tokencode_overview(server, hedy, user.serial, now=NOW).devices
    assert row.held.device == ELSEWHERE


def test_saving_changes_both_settings_or_none(server: Instance) -> None:
    user = a_user(server, "alice", pin=PIN)
    a_filled_device(server, user)
    done = emergency.save(server, HELP_DESK, user.serial, new_code=True, online=True, now=NOW)
    assert (done.reset_on, done.online) == (1, True)
    same = emergency.save(server, HELP_DESK, user.serial, new_code=False, online=True, now=NOW)
    assert (same.reset_on, same.online) == (None, None)
    assert len(logged_events(server, Action.EMERGENCY_ONLINE)) == 1
    assert emergency.reset(server, ROOT, CodeKind.PASSCODE, "alice", now=NOW) == 1


def test_why_a_passcode_is_missing_is_the_same_on_both_pages(server: Instance) -> None:
    """A device on which a token was used fetches the code automatically; on others the user must sign in first."""
    user = a_user(server, "alice", pin=PIN)
    edit_policy(server, {"emergency_passcode": "off"})
    device = a_device(server, "laptop")
    device.sign_in(user, NOW)
    edit_policy(server, {"emergency_passcode": "on"}, now=NOW + 30)

    def said() -> tuple[Obstacle, str]:
        (row,) = passcode_overview(server, HELP_DESK, "alice", now=NOW + 30).devices
        lines = explain(server, ROOT, "alice", now=NOW + 30).lines
        return row.obstacles[0], next(line.why for line in lines if line.rule == "emergency passcode")

    assert said() == (Obstacle.NOT_DOWNLOADED, Obstacle.NOT_DOWNLOADED)
    device.contact(user, NOW + 30)  # without a sign-in
    (row,) = passcode_overview(server, HELP_DESK, "alice", now=NOW + 30).devices
    assert (row.can_show, row.obstacles) == (True, ())


def test_without_a_token_used_there_a_passcode_needs_a_sign_in_on_both_pages(server: Instance) -> None:
    user = a_user(server, "alice", pin=PIN)
    device = a_device(server, "laptop")
    device.sign_in(user, NOW)
    with server.database.write() as connection:
        connection.execute(tables.device_token.delete())
    (row,) = passcode_overview(server, HELP_DESK, "alice", now=NOW).devices
    lines = explain(server, ROOT, "alice", now=NOW).lines
    said = next(line.why for line in lines if line.rule == "emergency passcode")
    assert (row.obstacles[0], said) == (Obstacle.NO_TOKEN_USED, Obstacle.NO_TOKEN_USED)
