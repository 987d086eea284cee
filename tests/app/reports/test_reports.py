"""Reports: users who are ready for a day without a network, and users whose data run out; in sets, in scope, in
agreement with `why`."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from sparekey.app.devices import devices
from sparekey.app.instance import Instance
from sparekey.app.lookup import ELSEWHERE
from sparekey.app.offline.sync import save_contact
from sparekey.app.people import users
from sparekey.app.people.imports import import_users
from sparekey.app.policies.policies import assign_policy
from sparekey.app.reports.reports import ForecastRow, ReportRow, Tally, forecast, readiness
from sparekey.app.reports.why import explain
from sparekey.app.tokens import tokens
from sparekey.core.errors import NotAllowed
from sparekey.core.explain.online import RuleResult, Side
from sparekey.core.explain.readiness import Readiness
from sparekey.core.offline.self_report import SelfReport
from sparekey.core.offline.units import Obstacle
from sparekey.core.permissions import Actor
from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.tables import unit_receipt
from tests.app.administrators import a_full_device, add_tree, an_administrator
from tests.builders import (
    DAY,
    MIDNIGHT,
    NOW,
    ROOT,
    Device,
    User,
    a_filled_device,
    a_user,
    denied,
    submit,
)

PIN = "4711abcd"
TODAY = MIDNIGHT + 60  # the day after the one in which people sign in


def row_of(server: Instance, user: User, now: int = NOW, actor: Actor = ROOT) -> ReportRow:
    (row,) = (each for each in readiness(server, actor, now=now) if each.login == user.login)
    return row


def forecast_of(server: Instance, now: int = NOW) -> dict[str, ForecastRow]:
    return {row.login: row for row in forecast(server, ROOT, now=now)}


def confirm_days(server: Instance, device: Device, user: User, days: range) -> None:
    """Confirm these days without making them, which would cost seconds."""
    with server.database.write() as connection:
        row = connection.execute(unit_receipt.select().where(unit_receipt.c.kind == "day")).mappings().first()
        assert row is not None
        for day in days:
            own = {
                "id": f"{user.account_id[:16]}-{day}",
                "device_id": device.device_id,
                "account_id": user.account_id,
                "token_id": user.token_id,
                "day": day,
                "not_after": (day + 1) * DAY,
            }
            connection.execute(unit_receipt.insert().values({**row, **own}))


def test_a_user_is_ready_until_the_days_run_out(any_server: Instance) -> None:
    user = a_user(any_server, "alice", pin=PIN)
    a_full_device(any_server, user, "laptop")
    row = row_of(any_server, user)
    assert (row.device, row.pending, row.assessment.obstacle) == ("laptop", False, None)
    assert row.assessment.readiness is Readiness.TOKENCODE
    # today and the one day of the policy
    assert row.assessment.data_until == MIDNIGHT + DAY
    assert row.assessment.days_left(NOW) == 1
    assert row.assessment.emergency_tokencode_until == row.assessment.emergency_passcode_until == NOW + 30 * DAY
    assert row_of(any_server, user, MIDNIGHT + DAY).assessment.readiness is Readiness.EMERGENCY_CODE
    assert row_of(any_server, user, NOW + 30 * DAY).assessment.readiness is Readiness.NOTHING


def test_the_forecast_names_now_and_this_week(server: Instance) -> None:
    full, sparse = a_user(server, "full", pin=PIN), a_user(server, "sparse", pin=PIN)
    nowhere = a_user(server, "nowhere")
    a_filled_device(server, sparse)  # only the rest of today
    confirm_days(server, a_filled_device(server, full), full, range(MIDNIGHT // DAY, MIDNIGHT // DAY + 9))
    assert {login: (row.at, row.left) for login, row in forecast_of(server).items()} == {
        "sparse": (MIDNIGHT, Readiness.EMERGENCY_CODE),
        nowhere.login: (NOW, Readiness.NOTHING),
    }
    later = forecast_of(server, NOW + 4 * DAY)
    assert later["full"].at == MIDNIGHT + 9 * DAY
    assert later["sparse"].at == NOW + 4 * DAY
    assert later["nowhere"].why == Obstacle.NO_TOKEN_USED
    assert later["sparse"].why == Obstacle.NOT_DOWNLOADED


def test_a_gap_ends_the_held_days(any_server: Instance) -> None:
    user = a_user(any_server, pin=PIN)
    device, tomorrow = a_filled_device(any_server, user), MIDNIGHT // DAY
    confirm_days(any_server, device, user, range(tomorrow, tomorrow + 1))
    confirm_days(any_server, device, user, range(tomorrow + 2, tomorrow + 4))
    assert row_of(any_server, user).assessment.data_until == MIDNIGHT + DAY


def test_obstacles_are_reported(server: Instance) -> None:
    lost, disabled, closed = (a_user(server, login, pin=PIN) for login in ("lost", "disabled", "closed"))
    for user in (lost, disabled, closed):
        a_filled_device(server, user)
    tokens.set_lost(server, ROOT, lost.serial, lost=True, now=NOW)
    tokens.set_enabled(server, ROOT, disabled.serial, enabled=False, now=NOW)
    users.set_enabled(server, ROOT, "closed", enabled=False, now=NOW)
    found = {row.login: row for row in readiness(server, ROOT, now=NOW)}
    assert {login: (row.assessment.readiness, row.assessment.obstacle) for login, row in found.items()} == {
        "lost": (Readiness.EMERGENCY_CODE, Obstacle.TOKEN_LOST),
        "disabled": (Readiness.EMERGENCY_CODE, Obstacle.TOKEN_DISABLED),  # the passcode needs no token
        "closed": (Readiness.CLOSED, Obstacle.ACCOUNT_CLOSED),
    }
    assert found["lost"].pending
    assert "closed" not in forecast_of(server)
    tally = Tally()
    for row in found.values():
        tally.add(row)
    assert (tally.rows, tally.users) == (3, 3)
    assert tally.readiness == {"emergency code": 2, "closed": 1}
    assert tally.obstacles == {"token-lost": 1, "token-disabled": 1, "account-closed": 1}


def test_a_locked_user_has_only_a_code_once_the_device_knows(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    device = a_full_device(server, user)
    for failure in range(5):
        denied(submit(server, user, TODAY + failure, user.wrong(TODAY)))
    assessment = row_of(server, user, TODAY + 9).assessment
    assert (assessment.readiness, assessment.obstacle) == (Readiness.TOKENCODE, Obstacle.ACCOUNT_LOCKED)
    row = device.row
    with server.database.write() as connection:
        save_contact(connection, row, SelfReport(hardware_bound=False), now=TODAY + 10)
    assert row_of(server, user, TODAY + 11).assessment.readiness is Readiness.EMERGENCY_CODE


def test_each_device_has_a_row(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    first, _ = a_filled_device(server, user, "one"), a_filled_device(server, user, "two", now=NOW + 30)
    rows = [*readiness(server, ROOT, now=NOW)]
    assert [row.device for row in rows] == ["one", "two"]
    devices.revoke(server, ROOT, first.device_id, now=NOW)
    assert [row.device for row in readiness(server, ROOT, now=NOW)] == ["two"]


def test_the_end_of_an_account_is_the_end_of_its_days(server: Instance) -> None:
    user = a_user(server, pin=PIN)
    a_full_device(server, user)
    users.edit_user(server, ROOT, user.login, users.UserEdit(expires_at=MIDNIGHT + 100), now=NOW)
    assert row_of(server, user).assessment.data_until == MIDNIGHT + 100


def test_the_report_agrees_with_the_explanation(server: Instance) -> None:
    people = [a_user(server, pin=PIN), a_user(server, pin=PIN), a_user(server)]
    for user in people[:2]:
        a_filled_device(server, user)
    tokens.set_lost(server, ROOT, people[1].serial, lost=True, now=NOW)
    for now in (NOW, MIDNIGHT + 2 * DAY, NOW + 31 * DAY):
        for user in people:
            said = next(
                line
                for line in explain(server, ROOT, user.login, now=now).lines
                if line.rule == "sign-in" and line.side is Side.OFFLINE
            )
            got = row_of(server, user, now).assessment.readiness
            assert (said.verdict is RuleResult.OK) is (got is not Readiness.NOTHING)
            assert (f"the tokencode of {user.serial}" in said.why) is (got is Readiness.TOKENCODE)


@contextmanager
def statements(server: Instance) -> Iterator[list[str]]:
    """Collect the database statements of the block."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(server.database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(server.database.engine, "before_cursor_execute", note)


def test_many_users_are_asked_for_at_once(server: Instance) -> None:
    with statements(server) as for_few:
        import_users(server, ROOT, b"login\nfirst\n", now=NOW)
        for_few.clear()
        assert len([*readiness(server, ROOT, now=NOW)]) == 1
    data = "login\n" + "".join(f"user-{number:05d}\n" for number in range(2_300))
    import_users(server, ROOT, data.encode(), now=NOW)
    with statements(server) as for_many:
        rows = [row.login for row in readiness(server, ROOT, now=NOW)]
    assert rows == sorted(rows)
    assert len(set(rows)) == 2_301
    # three thousands of users instead of one
    assert len(for_many) < 3 * len(for_few)


def test_s63_reports_stay_in_scope(server: Instance) -> None:
    add_tree(server)
    here, there = a_user(server, "here", domain="Bern", pin=PIN), a_user(server, "there", domain="Support")
    assign_policy(server, ROOT, PolicyKind.OFFLINE, None, "Bern", now=NOW)
    a_filled_device(server, here, "in the top domain")
    _, auditor = an_administrator(server, ("auditor", "Sales"), domain="Support")
    rows = [*readiness(server, auditor, now=NOW)]
    assert [row.login for row in rows] == ["here"]
    assert rows[0].device == ELSEWHERE
    assert [row.login for row in forecast(server, auditor, now=NOW)] == ["here"]
    assert there.login in {row.login for row in forecast(server, ROOT, now=NOW)}
    _, nobody = an_administrator(server)
    for report in (readiness, forecast):
        with pytest.raises(NotAllowed, match=r"report\.view"):
            report(server, nobody, now=NOW)
