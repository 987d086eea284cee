"""A device that a user used once reports successes that never were (S49): no lock, few refusals, and alarms."""

import json

from sparekey.app.instance import Instance
from sparekey.app.offline.device_alarms import MOST_ALARMS
from sparekey.app.offline.events import AT_ONCE
from sparekey.core.audit_log.actions import Action
from sparekey.core.offline.event_packs import PACK
from sparekey.core.offline.reported_successes import CODE_COST, COUNTER_COST, HOUR, MOST_COST, MOST_SHORT_OUTAGES
from sparekey.core.reasons import Reason
from sparekey.core.sign_in.outcome import Denied, Granted
from sparekey.secret import Secret
from sparekey.storage.devices import devices, reported_successes
from sparekey.storage.devices.reported_successes import KEPT, UsedCodes
from sparekey.wire.events import EventKind
from tests.builders import (
    NOW,
    Device,
    User,
    a_device,
    a_user,
    account_row,
    denied,
    granted,
    logged_events,
    submit,
    token_row,
)
from tests.event_tokens import a_holder_of_a_pack
from tools.counts import Count

AHEAD = Action.ALARM_SUCCESS_AHEAD
IN_CONTACT = Action.ALARM_SUCCESS_IN_CONTACT
TOO_MANY = Action.ALARM_CODES_USED_UP


def a_used_device(server: Instance, user: User, at: int = NOW - HOUR) -> Device:
    device = a_device(server)
    granted(device.sign_in(user, at).outcome)
    return device


def says(device: Device, user: User, step: int, now: int) -> None:
    """Report a success with this step in an upload of its own."""
    device.event(user, at=now, method="tokencode", token=user.token_id, step=step)
    device.upload(now, device.events[-1:])


def used_codes(
    server: Instance, now: int, *, account_id: str | None = None, device_id: str | None = None
) -> list[UsedCodes]:
    with server.database.read() as connection:
        return reported_successes.list_used_codes(
            connection, now=now, limit=10, account_id=account_id, device_id=device_id
        )


def test_s49_a_success_of_the_future_refuses_no_later_code(any_server: Instance) -> None:
    user = a_user(any_server)
    device = a_used_device(any_server, user)
    says(device, user, user.step(NOW) + 5, NOW)
    assert token_row(any_server, user.serial).last_step == user.step(NOW)
    (alarm,) = logged_events(any_server, AHEAD)
    assert (alarm.account_id, alarm.token_id, alarm.device_id) == (user.account_id, user.token_id, device.device_id)
    assert json.loads(alarm.detail) == {"doubt": "ahead", "number": 1, "step": user.step(NOW) + 5, "successes": 1}
    granted(submit(any_server, user, NOW + 30))


def test_s49_a_device_that_reports_all_the_time_locks_no_user(server: Instance, count: Count) -> None:
    """The device uses up each code as soon as it is shown. Its user tries every code."""
    user = a_user(server)
    device = a_used_device(server, user)
    outcomes = []
    for second in range(NOW, NOW + count(small=40, full=120) * 30, 30):
        says(device, user, user.step(second) + 1, second)
        outcomes.append(submit(server, user, second + 5))
        assert account_row(server, user.login).failures == 0
    refused = [outcome for outcome in outcomes if isinstance(outcome, Denied)]
    assert {outcome.reason for outcome in refused} == {Reason.USED_ON_DEVICE}
    assert len(refused) <= MOST_COST // CODE_COST
    assert all(isinstance(outcome, Granted) for outcome in outcomes[len(refused) :])
    assert len(logged_events(server, IN_CONTACT)) == min(len(outcomes) - 2 * MOST_SHORT_OUTAGES, MOST_ALARMS)
    assert logged_events(server, TOO_MANY)


def test_s49_the_events_beyond_the_limit_are_kept_and_alarm_once_for_each_transaction(server: Instance) -> None:
    user = a_user(server)
    device = a_used_device(server, user)
    for number in range(2 * AT_ONCE):
        device.event(user, at=NOW, method="tokencode", token=user.token_id, step=user.step(NOW) + 2 + number)
    device.upload(NOW)
    assert len(logged_events(server, Action.SIGN_IN_OFFLINE)) == 2 * AT_ONCE
    assert [json.loads(alarm.detail)["successes"] for alarm in logged_events(server, AHEAD)] == [AT_ONCE] * 2


def test_s49_a_success_before_a_sync_is_not_reported_after_it(any_server: Instance) -> None:
    user = a_user(any_server)
    device = a_used_device(any_server, user)
    with any_server.database.write() as connection:
        devices.set_last_contact(connection, device.device_id, NOW)
    says(device, user, user.step(NOW - 1_800), NOW + 60)
    (alarm,) = logged_events(any_server, IN_CONTACT)
    assert json.loads(alarm.detail)["doubt"] == "late"


def test_a_refused_or_foreign_report_uses_up_nothing(server: Instance) -> None:
    user, stranger = a_user(server), a_device(server)
    says(stranger, user, user.step(NOW), NOW)
    stranger.event(user, EventKind.DENIED, at=NOW, method="tokencode", token=user.token_id, step=user.step(NOW))
    stranger.upload(NOW + 30)
    assert (token_row(server, user.serial).last_step, used_codes(server, NOW)) == (0, [])


# Event-based tokens


def test_s49_a_user_whose_counters_were_used_up_is_not_locked(any_server: Instance) -> None:
    presser, device = a_holder_of_a_pack(any_server)
    says(device, presser.user, PACK, NOW + 60)
    for counter in range(1, PACK + 1, 7):
        refused = denied(submit(any_server, presser.user, NOW + 90 + counter, presser.typed(counter)))
        assert refused.reason is Reason.USED_ON_DEVICE
    assert account_row(any_server, presser.user.login).failures == 0
    granted(submit(any_server, presser.user, NOW + 600, presser.typed(PACK + 1)))
    assert denied(submit(any_server, presser.user, NOW + 610, presser.typed(PACK + 1))).reason is Reason.ALREADY_USED


def test_s49_a_device_moves_few_counters_in_an_hour(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    for number in range(1, 12):
        device.contact(presser.user, NOW + 300 * number)
        says(device, presser.user, token_row(server, presser.user.serial).last_step + PACK, NOW + 300 * number)
    assert token_row(server, presser.user.serial).last_step == MOST_COST // COUNTER_COST
    assert logged_events(server, TOO_MANY)


def test_a_wrong_pin_with_a_used_counter_still_counts(server: Instance) -> None:
    presser, device = a_holder_of_a_pack(server)
    says(device, presser.user, 6, NOW + 60)
    wrong = Secret("0000aaaa" + presser.otp.code(3))
    assert denied(submit(server, presser.user, NOW + 90, wrong)).reason is Reason.WRONG_PASSCODE
    assert account_row(server, presser.user.login).failures == 1


# Who used up the codes


def test_the_codes_that_a_device_used_up_are_counted_by_device_and_token(any_server: Instance) -> None:
    alice, bob = a_user(any_server), a_user(any_server)
    laptop, desk = a_used_device(any_server, alice), a_used_device(any_server, alice, NOW - 1_800)
    granted(laptop.sign_in(bob, NOW - 1_800).outcome)
    says(laptop, alice, alice.step(NOW), NOW)
    says(laptop, alice, alice.step(NOW + 120), NOW + 120)
    says(desk, alice, alice.step(NOW + 240), NOW + 240)
    says(laptop, bob, bob.step(NOW + 360) - 100, NOW + 360)  # an old code: it costs no user anything
    (last, first) = used_codes(any_server, NOW + 400, account_id=alice.account_id)
    assert (last.device, last.serial, last.login, last.successes, last.codes) == (
        desk.row.name,
        alice.serial,
        alice.login,
        1,
        2,
    )
    assert (first.device_id, first.successes, first.codes) == (laptop.device_id, 2, 4)
    assert (first.first_minute, first.last_minute) == (NOW // 60, NOW // 60 + 2)
    assert used_codes(any_server, NOW + 400, device_id=laptop.device_id) == [first]
    assert used_codes(any_server, NOW + 400 + KEPT) == []


def test_old_reports_are_deleted_with_the_next_one(any_server: Instance) -> None:
    user = a_user(any_server)
    device = a_used_device(any_server, user)
    says(device, user, user.step(NOW), NOW)
    later = NOW + KEPT + 120
    says(device, user, user.step(later), later)
    with any_server.database.read() as connection:
        assert len(connection.exec_driver_sql("SELECT 1 FROM reported_success").all()) == 1
