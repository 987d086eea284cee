"""S42: the server mails users about changes of their access, once per change. A dead mail server loses nothing."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from sparekey.app.audit_log.outbox import (
    CLAIM_SECONDS,
    GIVE_UP_AFTER,
    KEEP_SETTLED,
    SendResult,
    forget_old,
    pause_after,
    send_next,
)
from sparekey.app.devices.devices import revoke
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.online import Terms, give_fixed
from sparekey.app.instance import Instance
from sparekey.app.notices import notify_user
from sparekey.app.people.users import UserEdit, edit_user
from sparekey.app.tokens.tokens import NewToken, add_token, clear_pin, set_enabled, set_lost, set_pin
from sparekey.app.vault import VaultError
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.notices import Notice
from sparekey.core.emergency.offline import CodeKind
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.audit_log import outbox
from sparekey.storage.rows import AnyRow
from sparekey.storage.sealed_rows import update_rows
from tests.builders import (
    CALLED_BACK,
    DAY,
    NOW,
    PIN,
    ROOT,
    Device,
    User,
    a_filled_device,
    a_user,
    denied,
    edit_policy,
    granted,
    logged_events,
    set_mail,
    show,
    submit,
)
from tests.journeys.canaries import found_in
from tests.mail_servers import MemoryMailWorld

ALICE = "alice@example.org"


def a_holder(server: Instance) -> tuple[User, Device]:
    """A user with an address, whose only device holds a tokencode."""
    edit_policy(server, {"emergency_passcode": "off"})
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user, "laptop")
    set_mail(server, user, ALICE)
    return user, device


@pytest.fixture
def holder(server: Instance) -> tuple[User, Device]:
    """On a server in memory."""
    return a_holder(server)


def waiting(server: Instance) -> list[AnyRow]:
    """Return the rows of the outbox, oldest first."""
    with server.database.read() as connection:
        query = select(tables.outbox).order_by(tables.outbox.c.created_at, tables.outbox.c.subject)
        return [*connection.execute(query)]


def subjects(server: Instance) -> list[str]:
    return [row.subject for row in waiting(server)]


# Content of notices


def emergency_use(server: Instance, user: User, device: Device) -> None:
    code = show(server, user).code.reveal()
    emergency.set_online(server, ROOT, user.serial, allowed=True, now=NOW)
    granted(device.sign_in(user, NOW + 5, Secret(user.pin + code)).outcome)


def temporary_use(server: Instance, user: User, _: Device) -> None:
    (code,) = give_fixed(server, ROOT, user.serial, Terms(days=7), CALLED_BACK, now=NOW).codes
    granted(submit(server, user, NOW + 5, Secret(user.pin + code.reveal())))


def lock(server: Instance, user: User, _: Device) -> None:
    for second in range(5):
        denied(submit(server, user, NOW + second, user.wrong(NOW)))


def lost_and_found(server: Instance, user: User, _: Device) -> None:
    for lost in (True, True, False, False):  # each time once
        set_lost(server, ROOT, user.serial, lost=lost, now=NOW)


def disabled_and_enabled(server: Instance, user: User, _: Device) -> None:
    for enabled in (False, False, True, True):
        set_enabled(server, ROOT, user.serial, enabled=enabled, now=NOW)


Act = Callable[[Instance, User, Device], object]
ACTS: dict[str, tuple[Act, list[str]]] = {
    "shown": (lambda server, user, _: show(server, user), ["Your offline emergency code was shown"]),
    "reset": (
        lambda server, user, _: emergency.reset(server, ROOT, CodeKind.TOKENCODE, user.serial, now=NOW),
        ["Your offline emergency code is being replaced"],
    ),
    "online": (
        lambda server, user, _: emergency.set_online(server, ROOT, user.serial, allowed=True, now=NOW),
        ["Your offline emergency code now works online"],
    ),
    "not online": (
        lambda server, user, _: emergency.set_online(server, ROOT, user.serial, allowed=False, now=NOW),
        ["Your offline emergency code no longer works online"],
    ),
    "used": (
        emergency_use,
        [
            "Your offline emergency code was shown",
            "Your offline emergency code now works online",
            "An emergency code was used to sign in as you",
        ],
    ),
    "temporary": (
        temporary_use,
        ["Temporary emergency access to your account was set up", "A temporary tokencode was used to sign in as you"],
    ),
    "new PIN": (
        lambda server, user, _: set_pin(server, ROOT, user.serial, Secret("other1"), now=NOW),
        ["The PIN of your token was set"],
    ),
    "no PIN": (
        lambda server, user, _: clear_pin(server, ROOT, user.serial, now=NOW),
        ["The PIN of your token was cleared"],
    ),
    "lost": (
        lambda server, user, _: set_lost(server, ROOT, user.serial, lost=True, now=NOW),
        ["Your token was reported lost"],
    ),
    "found": (lost_and_found, ["Your token was reported lost", "Your token is no longer reported lost"]),
    "enabled": (disabled_and_enabled, ["Your token was disabled", "Your token was enabled"]),
    "another token": (
        lambda server, user, _: add_token(server, ROOT, user.login, NewToken(with_pin=False), now=NOW),
        ["A token was assigned to you"],
    ),
    "revoked": (
        lambda server, _, device: revoke(server, ROOT, device.device_id, now=NOW),
        ["A device that you use was taken out of service"],
    ),
    "locked": (lock, ["Your account is locked"]),
}


@pytest.mark.parametrize("act", ACTS)
def test_s42_the_user_gets_a_notice_of_each_change(server: Instance, holder: tuple[User, Device], act: str) -> None:
    user, device = holder
    does, told = ACTS[act]
    does(server, user, device)
    assert sorted(subjects(server)) == sorted(told)
    for row in waiting(server):
        assert (row.recipient, row.account_id, row.attempts) == (ALICE, user.account_id, 0)
        assert f"Account: {user.login}\n" in row.body


def test_s42_the_notice_of_a_shown_code_names_device_and_time_and_no_code(
    server: Instance, holder: tuple[User, Device]
) -> None:
    user, _ = holder
    shown = show(server, user, now=NOW)
    (row,) = waiting(server)
    assert "offline emergency tokencode for the device laptop" in row.body
    assert "2027-01-15 23:50:00 UTC" in row.body
    for code in (shown.code.reveal(), shown.groups.reveal()):
        assert code not in row.body + row.subject


def test_s65_no_code_pin_or_seed_is_in_a_notice_or_an_alarm(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_filled_device(server, user, "laptop")
    set_mail(server, user, ALICE)
    secrets = {"PIN": PIN.encode(), "seed": user.totp.seed.reveal(), "tokencode": user.typed(NOW).reveal().encode()}
    for kind in CodeKind:
        shown = show(server, user, kind=kind)
        secrets |= {f"{kind}": shown.code.reveal().encode(), f"{kind} grouped": shown.groups.reveal().encode()}
    for name in ("online", "reset", "lost", "not online", "new PIN", "no PIN", "locked", "revoked"):
        ACTS[name][0](server, user, device)
    secrets["new PIN"] = b"other1"
    # A version that was never shown was used offline: an alarm.
    device.event(user, method="emergency-tokencode", token=user.token_id, version=9)
    device.upload(NOW + 60)
    assert len(waiting(server)) == 2 + 8 + 1
    with server.database.read() as connection:
        rows = [*connection.execute(select(tables.outbox)), *connection.execute(select(tables.alarm))]
    assert found_in("\n".join(map(str, rows)).encode(), secrets) == set()


def test_a_user_without_an_address_gets_no_notices(server: Instance, holder: tuple[User, Device]) -> None:
    user, _ = holder
    set_mail(server, user, "")
    show(server, user)
    assert waiting(server) == []


def test_a_user_gets_a_notice_of_a_new_device(server: Instance, holder: tuple[User, Device]) -> None:
    user, _ = holder
    a_filled_device(server, user, "tower", now=NOW + 30)
    (row,) = waiting(server)
    assert row.subject == "You signed in on another device"
    assert "tower" in row.body


def test_the_old_address_gets_a_notice_of_its_replacement(server: Instance) -> None:
    """So an attacker cannot redirect the user's notices before using a code."""
    user = a_user(server)
    set_mail(server, user, ALICE)
    for address in ("eve@example.org", "eve@example.org", ""):
        edit_user(server, ROOT, user.login, UserEdit(mail=address), now=NOW)
    assert sorted(row.recipient for row in waiting(server)) == [ALICE, "eve@example.org"]
    assert set(subjects(server)) == {"This address no longer receives notices about your account"}


# In the same transaction


def test_s42_a_failed_request_for_a_code_sends_no_notice(any_server: Instance) -> None:
    """The code cannot be opened: neither its audit row nor the notice stays."""
    user, _ = a_holder(any_server)
    with any_server.database.write() as connection:
        connection.execute(update(tables.emergency_code).values(code_sealed=b"damaged"))
    with pytest.raises(VaultError):
        show(any_server, user)
    assert logged_events(any_server, Action.EMERGENCY_SHOWN) == []
    assert waiting(any_server) == []


def test_s42_a_notice_goes_with_its_transaction(any_server: Instance) -> None:
    user = a_user(any_server)
    set_mail(any_server, user, ALICE)

    def fails_later() -> None:
        with any_server.database.write() as connection:
            notify_user(connection, NOW, user.account_id, Notice.ACCOUNT_LOCKED)
            assert len([*connection.execute(select(tables.outbox))]) == 1
            raise RuntimeError("what comes later fails")

    with pytest.raises(RuntimeError, match="later"):
        fails_later()
    assert waiting(any_server) == []


# A dead mail server


def queue(server: Instance, count: int, now: int = NOW) -> None:
    """Each in its own second."""
    user = a_user(server)
    set_mail(server, user, ALICE)
    for number in range(count):
        with server.database.write() as connection:
            notify_user(connection, now + number, user.account_id, Notice.TOKEN_LOST, serial=f"N{number}")


def send_all(server: Instance, world: MemoryMailWorld, now: int) -> list[SendResult]:
    """Take steps until nothing is due, or no mail server answers."""
    steps = []
    while True:
        steps.append(send_next(server.database, world.mailer, (), now))
        if steps[-1] in (SendResult.NOTHING_DUE, SendResult.UNREACHABLE):
            return steps


def test_s42_a_dead_mail_server_loses_nothing_and_nothing_is_sent_twice(any_server: Instance) -> None:
    world = MemoryMailWorld()
    queue(any_server, 5)
    # A month without a mail server, tried every few hours
    for hour in range(0, 30 * 24, 6):
        assert SendResult.SENT not in send_all(any_server, world, NOW + 10 + hour * 3_600)
        forget_old(any_server.database, NOW + 10 + hour * 3_600, with_mailer=True)
    assert len(waiting(any_server)) == 5
    assert world.received == []
    world.start()
    back = NOW + 31 * DAY
    send_all(any_server, world, back)
    assert sorted(each.text.split("token ")[1][:2] for each in world.received) == ["N0", "N1", "N2", "N3", "N4"]
    assert send_all(any_server, world, back + DAY) == [SendResult.NOTHING_DUE]
    assert [row.sent_at for row in waiting(any_server)] == [back] * 5


def test_without_a_mail_server_one_message_is_tried_and_the_others_wait(server: Instance) -> None:
    world = MemoryMailWorld()
    queue(server, 3)
    assert send_all(server, world, NOW + 5) == [SendResult.UNREACHABLE]
    assert [row.attempts for row in waiting(server)] == [1, 0, 0]
    assert [row.last_error for row in waiting(server)] == ["no mail server answers", "", ""]


def test_pauses_double_and_end_at_a_quarter_of_an_hour() -> None:
    assert [pause_after(attempt) for attempt in (1, 2, 3, 4, 8, 9, 1_000)] == [5, 10, 20, 40, 640, 900, 900]


def test_a_refused_message_delays_no_other_and_is_dropped_after_a_week(server: Instance) -> None:
    world = MemoryMailWorld(is_up=True, answers={ALICE: "550 no such user"})
    queue(server, 1)
    other = a_user(server)
    set_mail(server, other, "bob@example.org")
    with server.database.write() as connection:
        notify_user(connection, NOW + 1, other.account_id, Notice.ACCOUNT_LOCKED)
    assert send_all(server, world, NOW + 1) == [SendResult.FAILED, SendResult.SENT, SendResult.NOTHING_DUE]
    for hours in range(1, 24 * 9):
        send_all(server, world, NOW + hours * 3_600)
    refused = next(row for row in waiting(server) if row.recipient == ALICE)
    assert (refused.next_attempt_at, refused.sent_at, refused.last_error) == (None, None, "it said 550 no such user")
    assert refused.attempts == GIVE_UP_AFTER // 3_600 + 2  # one at once, then each hour, and the one after the week
    with server.database.read() as connection:
        assert outbox.count_waiting(connection).given_up == 1


def test_an_impossible_mail_is_dropped_at_once(server: Instance) -> None:
    queue(server, 1)
    with server.database.write() as connection:
        update_rows(connection, tables.outbox, [], {"recipient": "x\r\nBcc: eve@example.org"})
    world = MemoryMailWorld(is_up=True)
    assert send_all(server, world, NOW) == [SendResult.FAILED, SendResult.NOTHING_DUE]
    assert world.received == []
    assert waiting(server)[0].next_attempt_at is None


def test_a_process_that_dies_while_it_sends_leaves_the_message_to_the_next(any_server: Instance) -> None:
    """Its claim lapses. The message has the same id, so that a receiver can tell that it had it already."""
    queue(any_server, 1)

    class Died(BaseException):
        """An end like SIGKILL's, without any tidying up."""

    def die(_: object) -> None:
        raise Died

    world = MemoryMailWorld(is_up=True, while_sending=die)
    with pytest.raises(Died):
        send_next(any_server.database, world, (), NOW)
    assert send_next(any_server.database, world, (), NOW + CLAIM_SECONDS - 1) is SendResult.NOTHING_DUE
    alive = replace(world, while_sending=lambda _: None)
    assert send_next(any_server.database, alive, (), NOW + CLAIM_SECONDS) is SendResult.SENT
    assert len(set(alive.tried)) == 1


def test_s42_a_message_is_claimed_by_one(any_server: Instance) -> None:
    queue(any_server, 1)
    with any_server.database.read() as connection:
        mail = outbox.find_due(connection, NOW)
    assert mail is not None
    claims = []
    for _ in range(2):
        with any_server.database.write() as connection:
            claims.append(outbox.claim(connection, mail, NOW + 300))
    assert claims == [True, False]


def test_s42_senders_that_run_at_once_send_each_message_once(any_server: Instance) -> None:
    queue(any_server, 20)
    world = MemoryMailWorld(is_up=True)
    threads = [threading.Thread(target=send_all, args=(any_server, world, NOW + 60)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.tried) == len(set(world.tried)) == 20


def test_sent_notices_are_deleted_after_a_month_and_unsendable_ones_after_a_week(any_server: Instance) -> None:
    world = MemoryMailWorld(is_up=True)
    queue(any_server, 2)
    assert send_next(any_server.database, world, (), NOW) is SendResult.SENT
    assert forget_old(any_server.database, NOW + KEEP_SETTLED, with_mailer=True) == 0
    assert forget_old(any_server.database, NOW + KEEP_SETTLED + 2, with_mailer=True) == 1  # the one that was sent
    assert forget_old(any_server.database, NOW + 7 * DAY, with_mailer=False) == 0
    assert forget_old(any_server.database, NOW + 8 * DAY, with_mailer=False) == 1
    assert waiting(any_server) == []
