"""The lifetime of an emergency code where the domains of user and device differ: the stricter wins, with or without
edits."""

from sparekey.app.emergency import offline as emergency
from sparekey.app.instance import Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.policies.policies import add_policy, assign_policy
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Reason
from sparekey.secret import Secret
from tests.builders import (
    DAY,
    LIGHT,
    NOW,
    PIN,
    ROOT,
    a_device,
    a_filled_device,
    a_user,
    denied,
    edit_policy,
    granted,
    show,
    submit,
)


def test_a_longer_lifetime_of_the_user_s_domain_is_no_longer_one_on_a_stricter_device(any_server: Instance) -> None:
    add_domain(any_server, ROOT, "Kiosks", now=NOW)
    add_policy(any_server, ROOT, PolicyKind.OFFLINE, "short", {**LIGHT, "emergency_lifetime": "7"}, now=NOW)
    assign_policy(any_server, ROOT, PolicyKind.OFFLINE, "short", "Kiosks", now=NOW)
    alice = a_user(any_server, pin=PIN)
    kiosk = a_device(any_server, domain="Kiosks")
    granted(kiosk.sign_in(alice, NOW).outcome)
    kiosk.contact(alice, NOW)
    code = show(any_server, alice)
    assert code.not_after == NOW + 7 * DAY
    edit_policy(any_server, {"emergency_lifetime": "300"})
    assert show(any_server, alice).not_after == NOW + 7 * DAY
    emergency.set_online(any_server, ROOT, alice.serial, allowed=True, now=NOW)
    typed = Secret(PIN + code.code.reveal())
    granted(submit(any_server, alice, NOW + 6 * DAY, typed))
    assert denied(submit(any_server, alice, NOW + 8 * DAY, typed)).reason is Reason.EMERGENCY_CODE_EXPIRED


def test_a_longer_lifetime_counts_where_nothing_is_stricter(any_server: Instance) -> None:
    alice = a_user(any_server, pin=PIN)
    a_filled_device(any_server, alice)
    edit_policy(any_server, {"emergency_lifetime": "300"})
    assert show(any_server, alice).not_after == NOW + 300 * DAY
