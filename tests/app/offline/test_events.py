"""Offline events at the server: the chain, what they use up, and every alarm (S27)."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import event

from sparekey.app.devices.devices import revoke
from sparekey.app.instance import Instance
from sparekey.app.offline.events import AT_ONCE
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import BadInput
from sparekey.core.reasons import Reason
from sparekey.wire.events import EventKind, OfflineEvent
from tests.builders import (
    MIDNIGHT,
    NOW,
    PIN,
    ROOT,
    Device,
    User,
    a_device,
    a_filled_device,
    a_user,
    denied,
    edit_policy,
    granted,
    logged_events,
    show,
    submit,
    token_row,
)

GAP = Action.ALARM_EVENTS_MISSING
TWICE = Action.ALARM_STEP_USED_TWICE
UNSHOWN = Action.ALARM_EMERGENCY_UNSHOWN


def alarms(server: Instance) -> list[str]:
    return [row.action for row in logged_events(server, *(action for action in Action if action.is_alarm))]


def with_events(server: Instance, count: int) -> Device:
    """Return a device with this number of wrong passcodes."""
    user, device = a_user(server), a_device(server)
    for number in range(count):
        device.event(user, EventKind.DENIED, at=NOW + number, reason="wrong-passcode")
    return device


def numbers(server: Instance) -> list[int]:
    rows = logged_events(server, Action.DEVICE_EVENT, Action.SIGN_IN_OFFLINE)
    return [json.loads(row.detail)["number"] for row in rows]


def test_events_are_logged_in_order(any_server: Instance) -> None:
    user, device = a_user(any_server), a_device(any_server)
    device.event(user, EventKind.DENIED, at=NOW, method="tokencode", token=user.token_id, reason="wrong-passcode")
    device.offline_success(user, NOW + 30)
    assert device.upload(NOW + 60) == 2
    refused, success = logged_events(any_server, Action.DEVICE_EVENT, Action.SIGN_IN_OFFLINE)
    assert (refused.action, refused.result, success.action, success.result) == (
        "device.event",
        "denied",
        "sign-in.offline",
        "ok",
    )
    for row in (refused, success):
        assert (row.account_id, row.token_id, row.device_id) == (user.account_id, user.token_id, device.device_id)
    assert json.loads(success.detail)["at"] == NOW + 30
    assert json.loads(refused.detail)["reason"] == "wrong-passcode"
    assert alarms(any_server) == []


def test_a_repeated_upload_changes_nothing(any_server: Instance) -> None:
    device = with_events(any_server, 3)
    assert device.upload(NOW, device.events[:2]) == 2
    assert device.upload(NOW) == 3
    assert device.upload(NOW) == 3
    assert (numbers(any_server), alarms(any_server)) == ([1, 2, 3], [])


def test_s46_others_write_between_the_parts_of_an_upload(any_server: Instance) -> None:
    device, parts = with_events(any_server, 2 * AT_ONCE + 1), [0]

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        parts[-1] += statement.startswith("INSERT INTO offline_event")

    event.listen(any_server.database.engine, "before_cursor_execute", note)
    event.listen(any_server.database.engine, "commit", lambda _: parts.append(0))
    assert device.upload(NOW) == 2 * AT_ONCE + 1
    assert [part for part in parts if part] == [AT_ONCE, AT_ONCE, 1]


def test_s27_dropping_event_3_of_5_is_noticed(any_server: Instance) -> None:
    device = with_events(any_server, 5)
    first, second, _, fourth, fifth = device.events
    assert device.upload(NOW, [first, second, fourth, fifth]) == 5
    (alarm,) = logged_events(any_server, GAP)
    assert json.loads(alarm.detail) == {"forked": False, "number": 4}
    assert alarm.device_id == device.device_id


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_s27_any_event_that_is_missing_before_another_is_noticed(server: Instance, missing: int) -> None:
    device = with_events(server, 5)
    device.upload(NOW, [event for event in device.events if event.number != missing])
    assert len(logged_events(server, GAP)) == 1


@pytest.mark.parametrize("member", ["previous", "reason", "number"])
def test_s27_a_rewritten_event_breaks_the_chain(server: Instance, member: str) -> None:
    """The device itself signs the new event, so only the chain can reveal the rewritten history."""
    device = with_events(server, 3)
    other = {"previous": bytes(32).hex(), "reason": "another", "number": 7}[member]
    second = device.signed(replace(device.events[1], **{member: other}))  # type: ignore[arg-type] # one member
    device.upload(NOW, [device.events[0], second, device.events[2]])
    assert GAP in [row.action for row in logged_events(server, GAP)]


def test_s27_a_fork_is_noticed_and_its_events_kept(any_server: Instance) -> None:
    device = with_events(any_server, 2)
    device.upload(NOW)
    other = device.signed(replace(device.events[1], reason="another story"))
    assert device.upload(NOW, [other]) == 2
    (alarm,) = logged_events(any_server, GAP)
    assert json.loads(alarm.detail) == {"forked": True, "number": 2}
    reasons = [json.loads(row.detail)["reason"] for row in logged_events(any_server, Action.DEVICE_EVENT)]
    assert reasons == ["wrong-passcode", "wrong-passcode", "another story"]


def test_an_event_that_comes_late_does_not_set_the_chain_back(any_server: Instance) -> None:
    device = with_events(any_server, 4)
    first, second, third, fourth = device.events
    device.upload(NOW, [first, third])
    device.upload(NOW, [second])
    assert device.upload(NOW, [fourth]) == 4
    assert [json.loads(row.detail)["number"] for row in logged_events(any_server, GAP)] == [3, 2]


FORGERIES: list[Callable[[OfflineEvent], OfflineEvent]] = [
    lambda event: replace(event, reason="nothing happened"),
    lambda event: replace(event, step=event.step + 1),
    lambda event: replace(event, number=event.number + 1),
    lambda event: replace(event, at=event.at - 1),
    lambda event: replace(event, previous=bytes(32).hex()),
    lambda event: replace(event, signature=""),
    lambda event: replace(event, signature="zz"),
    lambda event: replace(event, signature=event.signature[:-2] + "00"),
    lambda event: replace(event, number=-1),
    lambda event: replace(event, reason="x" * 70_000),
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_s27_one_event_with_a_wrong_signature_refuses_all(
    server: Instance, forge: Callable[[OfflineEvent], OfflineEvent]
) -> None:
    device = with_events(server, 3)
    with pytest.raises(BadInput, match="not signed by this device"):
        device.upload(NOW, [device.events[0], forge(device.events[1]), device.events[2]])
    assert numbers(server) == []


def test_s27_another_device_s_signature_is_none(server: Instance) -> None:
    device, other = with_events(server, 1), a_device(server)
    with pytest.raises(BadInput):
        device.upload(NOW, [other.signed(device.events[0])])


@pytest.mark.parametrize("member", ["kind", "user", "token"])
def test_an_id_that_cannot_be_one_is_refused_on_any_database(any_server: Instance, member: str) -> None:
    device = with_events(any_server, 1)
    event = device.signed(replace(device.events[0], **{member: "a\x00b"}))  # type: ignore[arg-type] # one member
    with pytest.raises(BadInput, match="not valid"):
        device.upload(NOW, [event])


def test_an_event_of_a_kind_from_the_future_is_kept(any_server: Instance) -> None:
    user, device = a_user(any_server), a_device(any_server)
    device.event(user, "levitated" * 20)  # type: ignore[arg-type] # a later agent's
    assert device.upload(NOW) == 1
    assert logged_events(any_server, Action.DEVICE_EVENT)[0].result == ("levitated" * 4)[:32]


@pytest.mark.parametrize(
    ("kind", "alarm"),
    [
        (EventKind.TLS_FAILURE, Action.ALARM_TLS_FAILURE),
        (EventKind.CLOCK_SUSPECT, Action.ALARM_CLOCK),
        (EventKind.BLOCKED, None),
        (EventKind.STORE_DAMAGED, None),
    ],
)
def test_alarms_of_the_device_are_raised_at_the_server(server: Instance, kind: EventKind, alarm: Action | None) -> None:
    device = a_device(server)
    device.event(kind=kind, reason="as it said")
    device.upload(NOW)
    assert alarms(server) == ([alarm.value] if alarm else [])


# Steps and counters used up by an offline success


def test_an_offline_success_uses_its_step_up_before_anything_else(any_server: Instance) -> None:
    user, device = a_user(any_server), a_device(any_server)
    device.offline_success(user, NOW)
    device.upload(NOW + 10)
    assert token_row(any_server, user.serial).last_step == user.step(NOW)
    assert denied(submit(any_server, user, NOW + 20, user.typed(NOW))).reason is Reason.USED_ON_DEVICE
    granted(submit(any_server, user, NOW + 30))


def test_an_offline_success_counts_after_the_user_dropped_out_of_the_device(server: Instance) -> None:
    edit_policy(server, {"users_per_device": "1"})
    user, device = a_user(server), a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    granted(device.sign_in(a_user(server), NOW + 30).outcome)
    device.offline_success(user, NOW + 60)
    device.upload(NOW + 90)
    assert token_row(server, user.serial).last_step == user.step(NOW + 60)


def test_a_device_that_never_had_the_token_uses_up_none_of_its_steps(server: Instance) -> None:
    user, stranger = a_user(server), a_device(server)
    stranger.event(user, at=NOW, method="tokencode", token=user.token_id, step=user.step(NOW))
    stranger.upload(NOW)
    assert token_row(server, user.serial).last_step == 0
    assert len(logged_events(server, Action.ALARM_UNEXPECTED_SUCCESS)) == 1
    granted(submit(server, user, NOW))


def test_a_device_uses_up_steps_of_the_token_s_own_user_only(server: Instance) -> None:
    alice, bob, device = a_user(server), a_user(server), a_device(server)
    device.event(bob, method="tokencode", token=alice.token_id, step=alice.step(NOW))
    device.upload(NOW)
    assert token_row(server, alice.serial).last_step == 0


def test_a_refusal_offline_uses_nothing_up(server: Instance) -> None:
    user, device = a_user(server), a_device(server)
    device.event(user, EventKind.DENIED, method="tokencode", token=user.token_id, step=user.step(NOW))
    device.upload(NOW)
    assert token_row(server, user.serial).last_step == 0


def both_worlds(server: Instance, *, later: int = 0) -> tuple[User, Device]:
    """Use the same step online at another interface and offline on a device, and maybe a later one online before the
    upload."""
    user, device = a_user(server), a_device(server)
    granted(submit(server, user, NOW))
    if later:
        granted(submit(server, user, NOW + later))
    device.offline_success(user, NOW)
    device.upload(NOW + 100)
    return user, device


@pytest.mark.parametrize("later", [0, 60])
def test_a_step_used_online_and_offline_by_different_attempts_is_an_alarm(any_server: Instance, later: int) -> None:
    user, device = both_worlds(any_server, later=later)
    (alarm,) = logged_events(any_server, TWICE)
    assert (alarm.account_id, alarm.token_id, alarm.device_id) == (user.account_id, user.token_id, device.device_id)
    assert json.loads(alarm.detail) == {"step": user.step(NOW)}
    assert token_row(any_server, user.serial).last_step == user.step(NOW + later)


def test_two_devices_that_were_offline_with_one_code_are_an_alarm(server: Instance) -> None:
    user = a_user(server)
    for device in (a_device(server), a_device(server)):
        device.offline_success(user, NOW)
        device.upload(NOW + 30)
    assert len(logged_events(server, TWICE)) == 1


def test_a_grant_that_did_not_arrive_is_the_same_attempt(server: Instance) -> None:
    """The server granted it, the answer got lost, and the device decided on the same passcode alone."""
    user, device = a_user(server), a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    device.offline_success(user, NOW)
    device.upload(NOW + 30)
    assert alarms(server) == []


def test_steps_one_after_the_other_are_no_alarm(server: Instance) -> None:
    user, device = a_user(server), a_device(server)
    granted(submit(server, user, NOW))
    device.offline_success(user, NOW + 60)
    device.offline_success(user, NOW + 90)
    device.upload(NOW + 200)
    granted(submit(server, user, NOW + 200))
    device.offline_success(user, NOW + 150)  # uploaded late: used up meanwhile, and never accepted online
    device.upload(NOW + 300)
    assert alarms(server) == []


# Emergency codes


@pytest.fixture
def holder(server: Instance) -> tuple[User, Device]:
    edit_policy(server, {"emergency_passcode": "off"})
    user = a_user(server, pin=PIN)
    return user, a_filled_device(server, user)


def offline_emergency(device: Device, user: User, at: int, version: int = 1) -> None:
    device.event(user, at=at, method="emergency-tokencode", token=user.token_id, version=version)
    device.upload(at + 10)


def test_s27_an_offline_use_is_matched_to_the_code_shown_before(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    show(server, user, now=NOW)
    offline_emergency(device, user, NOW + 60)
    (used,) = logged_events(server, Action.EMERGENCY_USED)
    detail = json.loads(used.detail)
    assert (detail["operator"], detail["version"], detail["kind"]) == ("os:helpdesk", 1, "tokencode")
    assert alarms(server) == []


def test_s27_a_use_of_a_code_that_was_not_shown_is_an_alarm(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    offline_emergency(device, user, NOW + 60)
    show(server, user, now=NOW + 600)  # later
    (alarm,) = logged_events(server, UNSHOWN)
    assert (alarm.token_id, alarm.device_id) == (user.token_id, device.device_id)
    assert "operator" not in json.loads(logged_events(server, Action.EMERGENCY_USED)[0].detail)


def test_a_device_whose_clock_is_a_little_behind_raises_no_alarm(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    show(server, user, now=NOW)
    offline_emergency(device, user, NOW - 110)
    assert alarms(server) == []


def test_a_fast_clock_does_not_match_a_later_shown_code(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    device.event(user, at=NOW + 10**8, method="emergency-tokencode", token=user.token_id, version=1)
    device.upload(NOW + 20)
    show(server, user, now=NOW + 600)
    assert alarms(server) == [UNSHOWN.value]


def test_a_version_that_is_not_stored_is_an_alarm(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    show(server, user, now=NOW)
    offline_emergency(device, user, NOW + 60, version=9)
    assert alarms(server) == [UNSHOWN.value]


def test_a_use_offline_makes_the_code_due(server: Instance, holder: tuple[User, Device]) -> None:
    user, device = holder
    offline_emergency(device, user, NOW + 60)
    granted(device.sign_in(user, NOW + 90).outcome)
    assert "emergency-tokencode" in [name.kind for name in device.contact(user, NOW + 90)]


def test_events_of_a_passcode_are_matched_too(server: Instance) -> None:
    edit_policy(server, {"emergency_tokencode": "off"})
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user)
    show(server, user, kind=CodeKind.PASSCODE)
    device.event(user, at=NOW + 60, method="emergency-passcode", version=1)
    device.upload(NOW + 60)
    assert json.loads(logged_events(server, Action.EMERGENCY_USED)[0].detail)["kind"] == "passcode"
    assert alarms(server) == []


def test_events_of_a_revoked_device_are_still_accepted_by_the_use_case(server: Instance) -> None:
    """The interface refuses a revoked device; the use case still accepts its events, because they are true."""
    user, device = a_user(server), a_device(server)
    granted(device.sign_in(user, NOW).outcome)
    device.offline_success(user, NOW + 30)
    revoke(server, ROOT, device.device_id, now=NOW + 40)
    device.upload(NOW + 50)
    assert token_row(server, user.serial).last_step == user.step(NOW + 30)


def test_events_over_midnight_are_events_like_others(server: Instance) -> None:
    user, device = a_user(server), a_device(server)
    for at in (MIDNIGHT - 30, MIDNIGHT, MIDNIGHT + 30):
        device.offline_success(user, at)
    assert device.upload(MIDNIGHT + 60) == 3
    assert token_row(server, user.serial).last_step == user.step(MIDNIGHT + 30)
