"""Use up the codes of offline successes, as far as the server believes the device that reports them (S49).

Rules: each report is decided on by `core.offline.reported_successes`, in the transaction that saves its event and under
the locks of device and user. A report that is not believed stays an event of the audit log. One alarm is raised for
each transaction and token: a device must not write more alarms than events.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from sparekey.app.instance import log
from sparekey.app.offline.device_alarms import raise_device_alarm
from sparekey.app.policies_in_force import policy_in
from sparekey.core.audit_log.actions import Action
from sparekey.core.offline.event_packs import LOOK_AHEAD
from sparekey.core.offline.reported_successes import Belief, Contacts, Doubt, ReportedToken, believe
from sparekey.core.policy.token import TokenPolicy
from sparekey.storage.audit_log import events as audit_events
from sparekey.storage.audit_log.events import AuditFilter
from sparekey.storage.devices import devices, receipts, reported_successes
from sparekey.storage.devices.reported_successes import ReportedSuccesses
from sparekey.storage.people.accounts import Account
from sparekey.storage.tokens import tokens
from sparekey.storage.tokens.tokens import Token
from sparekey.unit_kind import UnitKind
from sparekey.wire.events import OfflineEvent

_NEWEST: Final = 1_000  # sign-ins of one token that are searched
_ALARMS: Final[Mapping[Doubt, Action]] = {
    Doubt.AHEAD: Action.ALARM_SUCCESS_AHEAD,
    Doubt.LATE: Action.ALARM_SUCCESS_IN_CONTACT,
    Doubt.IN_CONTACT: Action.ALARM_SUCCESS_IN_CONTACT,
    Doubt.TOO_MANY: Action.ALARM_CODES_USED_UP,
}


class Reports:
    """The successes in one transaction of an upload. Make it under the lock of the device, before an event is saved."""

    def __init__(self, connection: Connection, device_id: str, now: int) -> None:
        self._connection = connection
        self._device_id = device_id
        self._now = now
        self._contacts = _contacts_of(connection, device_id)
        self._doubted: Counter[tuple[Doubt, str, str]] = Counter()
        self._first: dict[tuple[Doubt, str, str], OfflineEvent] = {}

    def use_up(self, event: OfflineEvent, account: Account) -> int:
        """Use up the step of a success with a token. Return the number of codes that would still have worked."""
        token = tokens.find_token_by_id(self._connection, event.token)
        if token is None or token.account_id != account.id:
            return 0
        if not self._was_used_here(token):
            # The device never had this token's days. A lying device must not use up the codes of other users.
            self._alarm(Action.ALARM_UNEXPECTED_SUCCESS, account.id, token.id, step=event.step)
            return 0
        past = reported_successes.past_of(self._connection, self._device_id, account.id, self._now)
        belief = believe(event.step, event.at, self._facts(token, account), self._contacts, past, self._now)
        for doubt in belief.doubts:
            self._doubt(doubt, event, account.id, token.id)
        self._save(belief, account.id, token.id)
        if event.step <= token.last_step and self._was_used_elsewhere(event, token):
            self._alarm(Action.ALARM_STEP_USED_TWICE, account.id, token.id, step=event.step)
        return belief.codes

    def raise_alarms(self) -> None:
        """Raise the alarms of the transaction: one for each kind of doubt and token."""
        for key, successes in self._doubted.items():
            doubt, account_id, token_id = key
            first = self._first[key]
            raise_device_alarm(
                self._connection,
                self._now,
                self._actor,
                _ALARMS[doubt],
                account=account_id,
                token=token_id,
                device=self._device_id,
                doubt=doubt.value,
                successes=successes,
                number=first.number,
                step=first.step,
            )

    @property
    def _actor(self) -> str:
        return f"device:{self._device_id}"

    def _doubt(self, doubt: Doubt, event: OfflineEvent, account_id: str, token_id: str) -> None:
        key = (doubt, account_id, token_id)
        self._doubted[key] += 1
        self._first.setdefault(key, event)

    def _alarm(self, action: Action, account_id: str, token_id: str, *, step: int) -> None:
        raise_device_alarm(
            self._connection,
            self._now,
            self._actor,
            action,
            account=account_id,
            token=token_id,
            device=self._device_id,
            step=step,
        )

    def _save(self, belief: Belief, account_id: str, token_id: str) -> None:
        if tokens.use_up_by_report(self._connection, token_id, belief.used_to):
            log(
                self._connection,
                self._now,
                self._actor,
                Action.TOKEN_ADVANCED,
                account=account_id,
                token=token_id,
                device=self._device_id,
                step=belief.used_to,
            )
        if not belief.codes and not belief.short_outage:
            return
        new = ReportedSuccesses(
            device_id=self._device_id,
            account_id=account_id,
            token_id=token_id,
            successes=1,
            codes=belief.codes,
            cost=belief.cost,
            short_outage=belief.short_outage,
        )
        reported_successes.add(self._connection, new, self._now)
        reported_successes.delete_old(self._connection, self._device_id, self._now)

    def _facts(self, token: Token, account: Account) -> ReportedToken:
        policy = policy_in(self._connection, account.domain_id, TokenPolicy)
        return ReportedToken(
            interval=token.interval,
            drift=token.drift,
            last_step=token.last_step,
            used_from=token.reported_from,
            used_to=token.reported_to,
            window=policy.code_window,
            last_given=0 if token.interval else self._last_given(token),
        )

    def _last_given(self, token: Token) -> int:
        """Return the end of the packs that the device received, or how far it looks ahead if no pack is known."""
        ends = [
            receipt.first + receipt.count - 1
            for receipt in receipts.list_receipts(self._connection, self._device_id, token.account_id)
            if (receipt.kind, receipt.token_id) == (UnitKind.EVENTS, token.id)
        ]
        return max(ends, default=token.last_step + 1 + LOOK_AHEAD)

    def _was_used_here(self, token: Token) -> bool:
        """Return True if the token signed in online on this device, now or before its data were dropped."""
        if devices.has_token(self._connection, self._device_id, token.id):
            return True
        wanted = AuditFilter(
            account_id=token.account_id,
            token_id=token.id,
            device_id=self._device_id,
            actions=(Action.SIGN_IN_GRANTED,),
        )
        return bool(audit_events.list_rows(self._connection, wanted, limit=1))

    def _was_used_elsewhere(self, event: OfflineEvent, token: Token) -> bool:
        """Return True if a success at this step is in the audit log that was not on this device.

        The same device at the same step is one attempt: the server's answer was lost, so the device decided alone.
        """
        wanted = AuditFilter(
            account_id=token.account_id,
            token_id=token.id,
            actions=(Action.SIGN_IN_GRANTED, Action.SIGN_IN_OFFLINE),
            detail_contains=f'"step":{event.step}',
        )
        rows = audit_events.list_rows(self._connection, wanted, limit=_NEWEST)
        return any(
            row.device_id != self._device_id and json.loads(row.detail).get("step") == event.step for row in rows
        )


def _contacts_of(connection: Connection, device_id: str) -> Contacts:
    device = devices.find_device(connection, device_id)
    if device is None:
        return Contacts(0, 0)
    uploaded = devices.find_uploaded_at(connection, device_id, device.event_number) or 0
    last_sync = device.last_contact or 0
    return Contacts(last_sync, max(last_sync, uploaded))
