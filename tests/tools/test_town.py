"""The town that `make demo` leaves: worth a look, with an audit log that reads as if it had happened."""

from itertools import pairwise

import pytest
from sqlalchemy import func, select

from sparekey.app.audit_log.reading import list_events
from sparekey.app.authorisation import actor_of
from sparekey.app.emergency.approvals import ApprovalState, approve, list_approvals
from sparekey.app.emergency.offline import show
from sparekey.app.emergency.second_person import ApprovalNeeded
from sparekey.app.emergency.showing import Showing
from sparekey.app.reports.readiness import count_on
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.storage.people import accounts
from sparekey.storage.tables import audit, device, emergency_code
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, ROOT, an_instance
from tools.story.town import ADMINISTRATOR, DEPUTY, HISTORY, settle

PEOPLE = 90


def test_the_town_is_worth_a_look(memory_database: Database) -> None:
    instance = an_instance(memory_database, policy={}, now=NOW - HISTORY)
    town = settle(instance, NOW, PEOPLE, lambda _: None)
    with instance.database.read() as connection:
        rows = connection.execute(select(audit).order_by(audit.c.id)).all()
        passcodes = connection.scalar(select(func.count()).where(emergency_code.c.kind == CodeKind.PASSCODE))
        devices = connection.scalar(select(func.count()).select_from(device))
        admin, deputy = (
            actor_of(connection, row.id)
            for row in (accounts.find_account(connection, login) for login in (ADMINISTRATOR, DEPUTY))
            if row is not None
        )

    # most are ready, and every computer holds a passcode of its user
    counts = count_on(instance, ROOT, now=NOW)
    assert 0.7 < counts.tokencode / counts.users < 0.9
    assert min(counts.runs_out, counts.code, counts.nothing) > 0
    assert passcodes is not None
    assert devices is not None
    assert 0 < passcodes <= devices

    # the audit log is in the order of time, and users are added before they sign in
    assert all(before.at <= after.at for before, after in pairwise(rows))
    assert rows[-1].at <= NOW * 1_000_000
    added = {row.account_id: row.id for row in rows if row.action == Action.USER_ADDED}
    assert all(added[row.account_id] < row.id for row in rows if row.action == Action.SIGN_IN_GRANTED)
    assert {row.by for row in list_events(instance, ROOT, by="vpn")} == {"vpn"}
    assert all(row.by != row.actor for row in list_events(instance, ROOT, actions=(Action.SIGN_IN_GRANTED,)))

    # a request waits for approval, and visitors can make one of their own
    (waiting,) = list_approvals(instance, admin, now=NOW)
    assert (waiting.state, waiting.decidable) == (ApprovalState.WAITING, True)
    said = Showing("called back")
    with pytest.raises(ApprovalNeeded):
        show(instance, admin, CodeKind.PASSCODE, waiting.user, waiting.device, said, now=NOW)
    asked = next(each for each in list_approvals(instance, deputy, now=NOW) if each.asker == ADMINISTRATOR)
    approve(instance, deputy, asked.id, now=NOW)
    assert show(instance, admin, CodeKind.PASSCODE, waiting.user, waiting.device, said, now=NOW).code
    town.ask(instance, NOW + 3_600)
    assert list_approvals(instance, admin, now=NOW + 3_600)[0].state is ApprovalState.WAITING
