"""Codes that devices used up, as administrators of the device and of the user see them."""

from sparekey.app.devices.contents import look_into
from sparekey.app.devices.used_codes import UsedCodesView, codes_used_up_by_device, codes_used_up_of_user
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.lookup import ELSEWHERE
from sparekey.app.reports.dashboard import show_dashboard
from tests.app.administrators import add_tree, an_administrator
from tests.builders import NOW, ROOT, Device, User, a_device, a_user, granted


def reported(device: Device, user: User, now: int) -> None:
    """Report a success at `now`, and one whose code works nowhere any more."""
    for at in (now - 600, now):
        device.event(user, at=at, method="tokencode", token=user.token_id, step=user.step(at))
    device.upload(now)


def test_both_pages_name_device_user_time_and_number(any_server: Instance) -> None:
    alice, device = a_user(any_server, "alice"), a_device(any_server, "laptop")
    granted(device.sign_in(alice, NOW - 3_600).outcome)
    assert codes_used_up_of_user(any_server, ROOT, "alice", now=NOW) == []
    reported(device, alice, NOW)
    reported(device, alice, NOW + 120)
    used = UsedCodesView(device.device_id, "laptop", "alice", alice.serial, 2, 4, NOW, NOW + 120)
    assert codes_used_up_of_user(any_server, ROOT, "alice", now=NOW + 200) == [used]
    assert codes_used_up_by_device(any_server, ROOT, "laptop", now=NOW + 200) == [used]
    assert show_dashboard(any_server, ROOT, "alice", now=NOW + 200).used == [used]
    assert look_into(any_server, ROOT, "laptop", now=NOW + 200).used == [used]


def test_s63_the_codes_of_users_elsewhere_are_left_out_and_devices_elsewhere_have_no_name(server: Instance) -> None:
    add_tree(server)
    shared, other = a_device(server, "shared", domain="Sales"), a_device(server, "other", domain="Support")
    alice, bob = a_user(server, "alice", domain="Sales"), a_user(server, "bob", domain="Support")
    used_on = ((shared, alice), (shared, bob), (other, alice))
    for number, (device, user) in enumerate(used_on):
        granted(device.sign_in(user, NOW - 3_600 + 60 * number).outcome)
    for number, (device, user) in enumerate(used_on):
        reported(device, user, NOW + 300 * number)
    _, sales = an_administrator(server, ("help desk", "Sales"))
    by_device = codes_used_up_by_device(server, sales, "shared", now=NOW + 900)
    assert [(each.login, each.device) for each in by_device] == [("alice", "shared")]
    of_user = codes_used_up_of_user(server, sales, "alice", now=NOW + 900)
    assert [(each.device_id, each.device) for each in of_user] == [("", ELSEWHERE), (shared.device_id, "shared")]
    _, everywhere = an_administrator(server, ("help desk", TOP_DOMAIN))
    assert len(codes_used_up_by_device(server, everywhere, "shared", now=NOW + 900)) == 2
