"""Offline emergency codes: the one to read out, its replacement, and every obstacle."""

import json

import pytest

from sparekey.app.devices.devices import revoke
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.held import HeldCode
from sparekey.app.emergency.offline import held_codes, history, reset, set_online
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people.domains import add_domain
from sparekey.app.people.users import add_user
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.policies.policies import add_policy, assign_policy
from sparekey.app.snapshots import open_code
from sparekey.app.tokens.tokens import set_enabled, set_lost, set_pin
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound, SparekeyError
from sparekey.core.offline.units import Obstacle
from sparekey.core.permissions import Actor
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Method, Reason
from sparekey.passcode import grouped, misread_groups
from sparekey.secret import Secret
from sparekey.storage.emergency import offline as emergency_codes
from sparekey.wire.agent_api import UnitName
from tests.builders import (
    DAY,
    LIMIT,
    NOW,
    PIN,
    ROOT,
    Device,
    User,
    a_device,
    a_filled_device,
    a_token,
    a_user,
    another_code,
    denied,
    edit_policy,
    granted,
    logged_events,
    set_end,
    show,
    shown_code,
    submit,
)

TOKENCODE, PASSCODE = CodeKind.TOKENCODE, CodeKind.PASSCODE


@pytest.fixture
def holder(server: Instance) -> tuple[User, Device]:
    """A user whose only device holds a tokencode (and no passcode, which costs as much to seal)."""
    edit_policy(server, {"emergency_passcode": "off"})
    user = a_user(server, pin=PIN)
    return user, a_filled_device(server, user, "laptop")


def held(server: Instance, user: User, kind: CodeKind = TOKENCODE) -> list[HeldCode]:
    return held_codes(server, ROOT, kind, user.serial if kind is TOKENCODE else user.login)


def versions(server: Instance, user: User) -> dict[str, int]:
    return {row.device: row.version for row in held(server, user)}


def emergency_sign_in(device: Device, user: User, code: str, now: int) -> Method:
    return granted(device.sign_in(user, now, Secret(user.pin + code)).outcome).method


# The code to read out


def test_the_code_is_shown_with_groups_spelling_version_expiry_and_the_need_of_a_pin(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user, "laptop")
    shown = show(any_server, user)
    assert (shown.device, shown.version, shown.not_after, shown.needs_pin) == ("laptop", 1, NOW + 30 * DAY, True)
    assert (len(shown.code), misread_groups(shown.code.reveal())) == (10, ())
    assert shown.groups.reveal() == grouped(shown.code.reveal())
    assert [len(words) for words in shown.spelling()] == [5, 5]
    assert shown.code.reveal() not in repr(shown)
    passcode = show(any_server, user, kind=PASSCODE)
    assert (len(passcode.code), passcode.needs_pin) == (15, False)
    (row,) = held(any_server, user)
    assert row == HeldCode(device.device_id, "laptop", 1, NOW + 30 * DAY, NOW, pending=False, reset=False)


def test_a_shown_code_is_logged_with_operator_method_and_device(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device = a_filled_device(any_server, user)
    code = emergency.show(
        any_server,
        Actor.of_system("os:bob"),
        TOKENCODE,
        user.serial,
        None,
        Showing("call back", "on a train", "T-7"),
        now=NOW + 5,
    ).code.reveal()
    (row,) = logged_events(any_server, Action.EMERGENCY_SHOWN)
    assert (row.actor, row.account_id, row.token_id, row.device_id) == (
        "os:bob",
        user.account_id,
        user.token_id,
        device.device_id,
    )
    detail = json.loads(row.detail)
    assert detail == {"caller": "call back", "kind": "tokencode", "note": "on a train", "ticket": "T-7", "version": 1}
    assert code not in row.detail


@pytest.mark.parametrize(
    "showing",
    [
        Showing(""),
        Showing("  "),
        Showing("x" * 201),
        Showing("a\nb"),
        Showing("x", "y" * 501),
        Showing("x", ticket="z" * 101),
    ],
)
def test_showing_a_code_needs_how_the_caller_was_identified(
    server: Instance, holder: tuple[User, Device], showing: Showing
) -> None:
    user, _ = holder
    with pytest.raises(BadInput):
        emergency.show(server, ROOT, TOKENCODE, user.serial, None, showing, now=NOW)
    assert logged_events(server, Action.EMERGENCY_SHOWN) == []


def test_of_several_devices_one_has_to_be_named(server: Instance, holder: tuple[User, Device]) -> None:
    user, laptop = holder
    tower = a_device(server, "tower")
    granted(tower.sign_in(user, NOW + 30).outcome)
    tower.contact(user, NOW + 30)
    with pytest.raises(Conflict, match=r"laptop \(.*tower \(") as refused:
        show(server, user)
    assert "--device" in refused.value.do
    for name in ("tower", tower.device_id, tower.device_id[:6]):
        assert show(server, user, name).device == "tower"
    for name in ("pc", "", laptop.device_id[:2] + "zz"):
        with pytest.raises(NotFound, match="does not name exactly one device"):
            show(server, user, name)


def test_two_devices_hold_different_codes(server: Instance, holder: tuple[User, Device]) -> None:
    user, laptop = holder
    tower = a_device(server, "tower")
    granted(tower.sign_in(user, NOW + 30).outcome)
    tower.contact(user, NOW + 30)
    assert versions(server, user) == {"laptop": 1, "tower": 1}
    first = shown_code(server, user, "laptop", now=NOW + 40)
    # The emergency is over on the tower only: the laptop still holds the code that the caller noted down.
    granted(tower.sign_in(user, NOW + 60).outcome)
    assert versions(server, user) == {"laptop": 1, "tower": 1}
    assert {row.device: row.pending for row in held(server, user)} == {"laptop": False, "tower": True}
    tower.contact(user, NOW + 60)
    laptop.contact(user, NOW + 60)
    assert versions(server, user) == {"laptop": 1, "tower": 2}
    assert shown_code(server, user, "laptop", now=NOW + 70) == first
    assert shown_code(server, user, "tower", now=NOW + 70) != first
    granted(laptop.sign_in(user, NOW + 90).outcome)
    laptop.contact(user, NOW + 90)
    # Version 2 was shown on the tower meanwhile: the laptop gets a code that was never shown.
    assert versions(server, user) == {"laptop": 3, "tower": 2}


def test_a_pending_code_is_never_shown_and_showing_withdraws_it(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    first = shown_code(server, user)
    granted(device.sign_in(user, NOW + 30).outcome)
    assert held(server, user)[0].pending
    assert shown_code(server, user, now=NOW + 40) == first
    assert not held(server, user)[0].pending
    assert [name.kind for name in device.contact(user, NOW + 50)] == []
    assert emergency_sign_in_is_refused(device, user, first, NOW + 50) is Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE
    granted(device.sign_in(user, NOW + 60).outcome)
    assert [name.kind for name in device.contact(user, NOW + 60)] == ["emergency-tokencode"]
    assert shown_code(server, user, now=NOW + 70) != first


def emergency_sign_in_is_refused(device: Device, user: User, code: str, now: int) -> Reason:
    return denied(device.sign_in(user, now, Secret(user.pin + code)).outcome).reason


def test_after_a_lost_receipt_the_next_contact_confirms_the_replacement(
    server: Instance, holder: tuple[User, Device]
) -> None:
    """The device stored version 2, its word did not arrive, and version 1 was shown meanwhile."""
    user, device = holder
    first = shown_code(server, user)
    granted(device.sign_in(user, NOW + 30).outcome)
    said = device.sync_of(user, NOW + 30)
    name = UnitName(kind="emergency-tokencode", token=user.token_id)
    held_unit = device.as_held(user, name, device.fetch(user, name, said.generation, NOW + 30), said.generation, 2)
    assert shown_code(server, user, now=NOW + 40) == first
    device.held[user.account_id, name.kind, name.token, name.day] = held_unit
    said = device.sync_of(user, NOW + 50)
    assert name.kind not in [wanted.kind for wanted in said.wanted]
    assert versions(server, user) == {"laptop": 2}
    assert shown_code(server, user, now=NOW + 60) != first


def test_while_a_new_generation_is_incomplete_the_device_accepts_the_old_one(
    server: Instance, holder: tuple[User, Device]
) -> None:
    user, device = holder
    first = shown_code(server, user)
    granted(device.sign_in(user, NOW + 30).outcome)  # version 2 is on its way
    set_pin(server, ROOT, user.serial, Secret("other1"), now=NOW + 30)
    said = device.sync_of(user, NOW + 31)
    name = UnitName(kind="emergency-tokencode", token=user.token_id)
    staged = device.as_held(user, name, device.fetch(user, name, said.generation, NOW + 31), said.generation, 2)
    device.held[user.account_id, "staged", name.token, name.day] = staged
    device.report(NOW + 32)
    assert shown_code(server, user, now=NOW + 33) == first


def test_a_code_that_the_device_lost_is_not_read_out(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    device.held.clear()
    device.sync(NOW + 5)
    assert versions(server, user) == {"laptop": 0}
    with pytest.raises(NotAllowed, match="no device holds a code") as refused:
        show(server, user)
    assert refused.value.do == Obstacle.NOT_DOWNLOADED


def test_a_user_dropped_from_a_device_holds_nothing_there(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    edit_policy(server, {"users_per_device": "1"})
    granted(device.sign_in(a_user(server, pin=PIN), NOW + 30).outcome)
    device.sync(NOW + 40)
    device.sync(NOW + 50)  # the device reports that it lost the code
    assert held(server, user) == []


# Obstacles


def refusal(server: Instance, user: User, kind: CodeKind = TOKENCODE, now: int = NOW) -> SparekeyError:
    with pytest.raises(NotAllowed) as refused:
        show(server, user, kind=kind, now=now)
    return refused.value


def test_before_any_sign_in_on_a_device_there_is_none(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    for kind in CodeKind:
        refused = refusal(server, user, kind)
        assert "until the user signs in online from a device" in refused.message
        assert refused.do == Obstacle.NO_TOKEN_USED


def test_a_sign_in_elsewhere_than_on_a_device_gives_none(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    granted(submit(server, user, NOW))
    assert refusal(server, user).do == Obstacle.NO_TOKEN_USED


def test_a_device_that_has_not_fetched_the_code(server: Instance) -> None:
    user, device = a_user(server, pin=PIN), a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    assert refusal(server, user).do == Obstacle.NOT_DOWNLOADED


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("policy off", Obstacle.POLICY_OFF),
        ("codes off", Obstacle.EMERGENCY_OFF),
        ("token disabled", Obstacle.TOKEN_DISABLED),
        ("token expired", Obstacle.TOKEN_EXPIRED),
        ("user disabled", Obstacle.ACCOUNT_CLOSED),
        ("passcode too short", Obstacle.PASSCODE_TOO_SHORT),
    ],
)
def test_each_precondition_has_its_own_words(
    server: Instance, holder: tuple[User, Device], state: str, why: Obstacle
) -> None:
    user, _ = holder
    match state:
        case "policy off":
            edit_policy(server, {"enabled": "off"})
        case "codes off":
            edit_policy(server, {"emergency_tokencode": "off"})
        case "token disabled":
            set_enabled(server, ROOT, user.serial, enabled=False, now=NOW)
        case "token expired":
            set_end(server, user, token=NOW)
        case "user disabled":
            set_user_enabled(server, ROOT, user.login, enabled=False, now=NOW)
        case _:
            edit_policy(server, {"minimum_passcode_length": "16"})
    assert refusal(server, user).do == why
    with pytest.raises(NotAllowed) as refused:
        set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    assert refused.value.do == why


def test_devices_without_support_or_with_offline_off_get_no_code(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    add_domain(server, ROOT, "Kiosks", now=NOW)
    add_policy(server, ROOT, PolicyKind.OFFLINE, "Off", {"enabled": "off"}, now=NOW)
    assign_policy(server, ROOT, PolicyKind.OFFLINE, "Off", "Kiosks", now=NOW)
    for device in (a_device(server, supports_offline=False), a_device(server, domain="Kiosks")):
        now = NOW + 30 if device.row.supports_offline else NOW
        granted(device.sign_in(user, now).outcome)
    assert refusal(server, user, now=NOW + 30).do == Obstacle.NO_TOKEN_USED


def test_a_code_works_for_a_lost_token_and_a_locked_user(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    set_lost(server, ROOT, user.serial, lost=True, now=NOW)
    for _ in range(LIMIT):
        submit(server, user, NOW, user.wrong(NOW))
    device.sync(NOW)
    assert show(server, user).version == 1


def test_a_revoked_device_is_not_among_those_that_hold_a_code(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    code = shown_code(server, user)
    set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    revoke(server, ROOT, device.device_id, now=NOW)
    assert held(server, user) == []
    assert refusal(server, user).do == Obstacle.NO_TOKEN_USED
    assert denied(submit(server, user, NOW, Secret(PIN + code))).reason is Reason.WRONG_PASSCODE


def test_a_code_that_has_expired_is_not_shown(server: Instance, holder: tuple[User, Device]) -> None:
    user, _ = holder
    assert "has expired" in refusal(server, user, now=NOW + 30 * DAY).message
    assert show(server, user, now=NOW + 30 * DAY - 1).version == 1


def test_unknown_users_and_devices_have_no_code(server: Instance) -> None:
    add_user(server, ROOT, "alice", TOP_DOMAIN, now=NOW)
    for kind, name in ((TOKENCODE, "SK0"), (PASSCODE, "nobody")):
        with pytest.raises(NotFound):
            emergency.show(server, ROOT, kind, name, None, Showing("x"), now=NOW)


# When it is replaced


def replaced(server: Instance, user: User, device: Device, now: int) -> bool:
    """Return True if the device's next contact brings another version."""
    before = versions(server, user)
    device.contact(user, now)
    return versions(server, user) != before


def test_an_unused_code_stays(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    granted(device.sign_in(user, NOW + 30).outcome)
    assert not replaced(server, user, device, NOW + 30)


def test_a_shown_code_stays_until_its_token_signs_in(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    code = shown_code(server, user)
    set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    assert not replaced(server, user, device, NOW + 10)  # a contact without a sign-in
    for now in (NOW + 20, NOW + 25):  # the same code, both times
        assert emergency_sign_in(device, user, code, now) is Method.EMERGENCY_TOKENCODE
    assert not replaced(server, user, device, NOW + 26)
    granted(device.sign_in(user, NOW + 30).outcome)
    assert replaced(server, user, device, NOW + 30)
    assert denied(device.sign_in(user, NOW + 40, Secret(PIN + code)).outcome).reason is Reason.WRONG_PASSCODE
    # The new one works online too: the permission belongs to the token.
    fresh = shown_code(server, user, now=NOW + 41)
    assert emergency_sign_in(device, user, fresh, NOW + 42) is Method.EMERGENCY_TOKENCODE
    (row,) = logged_events(server, Action.EMERGENCY_REPLACED)
    assert json.loads(row.detail) == {"new": 2, "old": 1}


def test_a_sign_in_elsewhere_replaces_nothing_on_the_device(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    shown_code(server, user)
    granted(submit(server, user, NOW + 30))
    assert not replaced(server, user, device, NOW + 30)


def test_another_token_does_not_end_this_token_s_emergency(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    spare = a_token(server, user.login, user.account_id, pin="9753")
    code = shown_code(server, user)
    granted(device.sign_in(spare, NOW + 30).outcome)
    device.contact(user, NOW + 30)
    assert shown_code(server, user, now=NOW + 40) == code


def test_a_reset_code_comes_with_any_sign_in_and_not_with_a_contact(
    server: Instance, holder: tuple[User, Device]
) -> None:
    user, device = holder
    set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    assert reset(server, ROOT, TOKENCODE, user.serial, now=NOW) == 1
    assert held(server, user)[0].reset
    assert not replaced(server, user, device, NOW + 10)
    code = shown_code(server, user, now=NOW + 11)  # until then the device holds, and accepts, the old one
    assert emergency_sign_in(device, user, code, NOW + 20) is Method.EMERGENCY_TOKENCODE
    assert replaced(server, user, device, NOW + 20)
    assert not held(server, user)[0].reset
    assert denied(submit(server, user, NOW + 21, Secret(PIN + code))).reason is Reason.WRONG_PASSCODE


def test_a_reset_without_a_device_is_refused(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    with pytest.raises(NotAllowed, match="no device holds"):
        reset(server, ROOT, TOKENCODE, user.serial, now=NOW)


def test_a_code_in_its_last_quarter_is_replaced_at_a_token_sign_in(
    server: Instance, holder: tuple[User, Device]
) -> None:
    user, device = holder
    late = NOW + 30 * DAY * 3 // 4
    granted(device.sign_in(user, late).outcome)
    assert not replaced(server, user, device, late)
    assert not replaced(server, user, device, late + 30)
    granted(device.sign_in(user, late + 30).outcome)
    assert replaced(server, user, device, late + 30)


def test_an_expired_code_is_replaced_at_any_contact(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    assert not replaced(server, user, device, NOW + 30 * DAY - 1)
    assert replaced(server, user, device, NOW + 30 * DAY)
    assert show(server, user, now=NOW + 30 * DAY).not_after == NOW + 60 * DAY


def test_the_passcode_s_emergency_ends_with_any_token(server: Instance) -> None:
    edit_policy(server, {"emergency_tokencode": "off"})
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user)
    first = show(server, user, kind=PASSCODE)
    granted(device.sign_in(user, NOW + 30).outcome)
    assert [name.kind for name in device.contact(user, NOW + 30)] == ["emergency-passcode"]
    second = show(server, user, kind=PASSCODE, now=NOW + 31)
    assert (second.version, first.version) == (2, 1)
    assert second.code != first.code


def test_a_version_made_under_a_longer_lifetime_is_not_given_where_it_is_shorter(server: Instance) -> None:
    edit_policy(server, {"emergency_passcode": "off"})
    add_domain(server, ROOT, "Kiosks", now=NOW)
    short = {"emergency_lifetime": "2", "protection_level": "light"}
    add_policy(server, ROOT, PolicyKind.OFFLINE, "Short", short, now=NOW)
    assign_policy(server, ROOT, PolicyKind.OFFLINE, "Short", "Kiosks", now=NOW)
    user = a_user(server, pin=PIN)
    a_filled_device(server, user, "laptop")
    kiosk = a_device(server, "kiosk", domain="Kiosks")
    granted(kiosk.sign_in(user, NOW + 30).outcome)
    kiosk.contact(user, NOW + 30)
    ends = {row.device: (row.version, row.not_after) for row in held(server, user)}
    assert ends == {"laptop": (1, NOW + 30 * DAY), "kiosk": (2, NOW + 30 + 2 * DAY)}


def test_a_shorter_lifetime_ends_codes_earlier_and_a_longer_one_revives_none(
    server: Instance, holder: tuple[User, Device]
) -> None:
    user, device = holder
    edit_policy(server, {"emergency_lifetime": "1"})
    assert replaced_unit(device, user, NOW + 10)
    assert show(server, user).not_after == NOW + DAY
    edit_policy(server, {"emergency_lifetime": "365"}, now=NOW + DAY)
    assert "has expired" in refusal(server, user, now=NOW + DAY).message


def replaced_unit(device: Device, user: User, now: int) -> bool:
    """Return True if the server seals the unit again, in any version."""
    return "emergency-tokencode" in [name.kind for name in device.contact(user, now)]


# Online use


def test_the_offline_code_is_accepted_online_only_where_that_is_allowed(any_server: Instance) -> None:
    edit_policy(any_server, {"emergency_passcode": "off"})
    user = a_user(any_server, pin=PIN)
    a_filled_device(any_server, user)
    typed = Secret(PIN + "-" + shown_code(any_server, user).lower())
    refused = denied(submit(any_server, user, NOW, typed))
    assert refused.reason is Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE
    set_online(any_server, ROOT, user.serial, allowed=True, now=NOW)
    for now in (NOW, NOW + 1):
        outcome = granted(submit(any_server, user, now, typed))
        assert (outcome.method, outcome.token_id) == (Method.EMERGENCY_TOKENCODE, user.token_id)
    set_online(any_server, ROOT, user.serial, allowed=False, now=NOW)
    assert denied(submit(any_server, user, NOW, typed)).reason is Reason.OFFLINE_CODE_NOT_ALLOWED_ONLINE
    assert len(logged_events(any_server, Action.EMERGENCY_ONLINE)) == 2


def test_s41_online_the_code_without_its_pin_or_with_a_wrong_one_is_refused(
    server: Instance, holder: tuple[User, Device]
) -> None:
    user, device = holder
    set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    code = shown_code(server, user)
    denied(submit(server, user, NOW, Secret(code)))
    for text in ("4712abcd" + code, PIN.upper() + code, PIN + another_code(code)):
        assert denied(submit(server, user, NOW, Secret(text))).reason is Reason.WRONG_PASSCODE
    assert emergency_sign_in(device, user, code, NOW) is Method.EMERGENCY_TOKENCODE


def test_a_misread_group_is_named_and_costs_nothing(server: Instance, holder: tuple[User, Device]) -> None:
    user, _ = holder
    set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    code = shown_code(server, user)
    misread = code[:5] + code[6] + code[5] + code[7:] if code[5] != code[6] else code[:5] + "U" + code[6:]
    for _ in range(2 * LIMIT):
        refused = denied(submit(server, user, NOW, Secret(PIN + misread)))
        assert (refused.reason, refused.misread) == (Reason.MISREAD, (2,))
    granted(submit(server, user, NOW, Secret(PIN + code)))


def test_every_version_that_a_device_holds_works_online_and_no_other(
    server: Instance, holder: tuple[User, Device]
) -> None:
    user, laptop = holder
    tower = a_device(server, "tower")
    granted(tower.sign_in(user, NOW + 30).outcome)
    tower.contact(user, NOW + 30)
    set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    first = shown_code(server, user, "laptop", now=NOW + 30)
    granted(tower.sign_in(user, NOW + 60).outcome)
    tower.contact(user, NOW + 60)
    second = shown_code(server, user, "tower", now=NOW + 60)
    for code in (first, second):
        granted(submit(server, user, NOW + 61, Secret(PIN + code)))
    granted(laptop.sign_in(user, NOW + 90).outcome)
    granted(submit(server, user, NOW + 91, Secret(PIN + first)))  # not confirmed yet
    laptop.contact(user, NOW + 92)
    assert denied(submit(server, user, NOW + 93, Secret(PIN + first))).reason is Reason.WRONG_PASSCODE
    granted(submit(server, user, NOW + 94, Secret(PIN + second)))


def test_an_online_use_is_matched_to_its_shown_code_or_raises_an_alarm(
    server: Instance, holder: tuple[User, Device]
) -> None:
    user, device = holder
    set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    with server.database.read() as connection:  # as an intruder would have to read it
        version = emergency_codes.find_version(connection, user.account_id, user.token_id, 1)
    assert version is not None
    code = open_code(server.vault, version).reveal()
    granted(device.sign_in(user, NOW, Secret(PIN + code)).outcome)
    (alarm,) = logged_events(server, Action.ALARM_EMERGENCY_UNSHOWN)
    assert (alarm.token_id, alarm.device_id) == (user.token_id, device.device_id)
    show(server, user, now=NOW + 10)
    granted(device.sign_in(user, NOW + 20, Secret(PIN + code)).outcome)
    assert len(logged_events(server, Action.ALARM_EMERGENCY_UNSHOWN)) == 1
    used = logged_events(server, Action.EMERGENCY_USED)
    assert [json.loads(row.detail).get("operator") for row in used] == [None, "os:helpdesk"]


def test_the_history_lists_the_events_of_a_code(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    other = a_token(server, user.login, user.account_id, pin="9753")
    code = shown_code(server, user)
    set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    granted(device.sign_in(user, NOW, Secret(PIN + code)).outcome)
    reset(server, ROOT, TOKENCODE, user.serial, now=NOW)
    actions = [row.action for row in history(server, ROOT, TOKENCODE, user.serial)]
    assert actions == ["emergency.reset", "emergency.used", "emergency.online", "emergency.shown"]
    assert len(history(server, ROOT, TOKENCODE, user.serial, limit=2)) == 2
    assert (history(server, ROOT, TOKENCODE, other.serial), history(server, ROOT, PASSCODE, user.login)) == ([], [])
