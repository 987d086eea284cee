"""Facts that events tell about objects: the state that follows from the audit log.

Rules:
- Events about one object are read in the order of their ids. That is the order of their transactions, because each
  takes the lock of its object before it logs.
- An event that lacks a member, because an older release wrote it, makes the fact unknown.
- Only facts that decide, and that an old row could bring back, are kept. docs/threat-model.md names the others.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from sparekey.core.audit_log.actions import OK, Action
from sparekey.core.audit_log.chain import AuditRow
from sparekey.core.audit_log.watched import (
    AGAIN,
    AGAIN_AT,
    COUNTED_AGAIN,
    COUNTS,
    HERE,
    STEP,
    UNTIL,
    Fact,
    FactBook,
    Facts,
    Named,
    WatchedKind,
    grant_key,
    policy_key,
)
from sparekey.core.reasons import ChallengeKind
from sparekey.durations import DAY_SECONDS

_MICROSECONDS: Final = 1_000_000
# Longer than the object can work, so that it is remembered as long as an old row could be of use.
_LINK_SECONDS: Final = 2 * 3_600
_APPROVAL_SECONDS: Final = 3_600
_SESSION_SECONDS: Final = 13 * 3_600
_INVITATION_SECONDS: Final = 31 * DAY_SECONDS
_ONE_TIME: Final = "one-time"
_ASKED: Final = "asked"  # of a token: the step of the last sign-in that was asked something

Detail = Mapping[str, Any]  # any JSON: the detail of an event
_UNKNOWN: Final = object()


class _Event(NamedTuple):
    row: AuditRow
    detail: Detail

    @property
    def at(self) -> int:
        """Its time in unix seconds."""
        return self.row.at // _MICROSECONDS


def take_event(book: FactBook, row: AuditRow) -> None:
    """Write the facts that this event tells into the book. An event that tells none changes nothing."""
    reader = _READERS.get(row.action)
    if reader is None:
        return
    detail = _detail_of(row)
    if detail is not None:
        reader(book, _Event(row, detail))


def _detail_of(row: AuditRow) -> Detail | None:
    """Return the detail; None: it is no JSON object, so that the server did not write the event."""
    try:
        detail = json.loads(row.detail)
    except (ValueError, TypeError, RecursionError):
        return None
    return detail if isinstance(detail, dict) else None


def _write(
    book: FactBook, kind: WatchedKind, key: object, told: Mapping[str, object], *, replace: bool = False
) -> None:
    """Add facts of an object, or replace all of them (`replace`). The value _UNKNOWN removes a fact."""
    if not isinstance(key, str):
        return
    named: Named = (kind, key)
    before = {} if replace else dict(book.find(named) or {})
    book.put(named, {name: _fact(value) for name, value in (before | dict(told)).items() if value is not _UNKNOWN})


def _fact(value: object) -> Fact:
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _member(detail: Detail, name: str) -> object:
    return detail.get(name, _UNKNOWN)


# Tokens


def _step_accepted(book: FactBook, row: AuditRow, step: object) -> None:
    if not isinstance(step, int) or row.token_id is None:
        return
    known = (book.find((WatchedKind.TOKEN, row.token_id)) or {}).get(STEP)
    if not isinstance(known, int) or step > known:
        _write(book, WatchedKind.TOKEN, row.token_id, {STEP: step})


def _granted(book: FactBook, event: _Event) -> None:
    _code_accepted(book, event)
    version = event.detail.get("counts_version", 0)
    if event.detail.get("cleared"):
        _counts_changed(book, event, version)
    elif isinstance(version, int):
        known = (book.find((WatchedKind.ACCOUNT, event.row.account_id or "")) or {}).get(COUNTS)
        if isinstance(known, int) and version != known:
            _write(book, WatchedKind.ACCOUNT, event.row.account_id, {COUNTED_AGAIN: version, AGAIN_AT: event.at})


def _code_accepted(book: FactBook, event: _Event) -> None:
    step = event.detail.get("step")
    _notice_again(book, event, step)
    _step_accepted(book, event.row, step)


def _asked(book: FactBook, event: _Event) -> None:
    # The next tokencode is asked for before anything is used up.
    if event.detail.get("ask") != ChallengeKind.NEXT_TOKENCODE:
        _code_accepted(book, event)
        _write(book, WatchedKind.TOKEN, event.row.token_id, {_ASKED: event.detail.get("step")})


def _notice_again(book: FactBook, event: _Event, step: object) -> None:
    """Note a step that was accepted although it was used up: an attacker lowered `last_step` for a moment.

    A sign-in that was asked something names its step in each of its events, up to its success.
    """
    facts = book.find((WatchedKind.TOKEN, event.row.token_id or "")) or {}
    known = facts.get(STEP)
    if isinstance(step, int) and isinstance(known, int) and step <= known and step != facts.get(_ASKED):
        _write(book, WatchedKind.TOKEN, event.row.token_id, {AGAIN: step, AGAIN_AT: event.at})
    elif _ASKED in facts:
        _write(book, WatchedKind.TOKEN, event.row.token_id, {_ASKED: _UNKNOWN})


def _advanced(book: FactBook, event: _Event) -> None:
    _step_accepted(book, event.row, event.detail.get("step"))


def _resynced(book: FactBook, event: _Event) -> None:
    if event.row.result == OK:
        _step_accepted(book, event.row, event.detail.get("step"))
    else:
        _denied(book, event)


_NO_PIN: Final[Mapping[str, Fact]] = {"pin_set_at": None, "pin_must_change": False}
_NO_ACCESS: Final[Mapping[str, Fact]] = {"access": None, "codes_left": None}


def _token_added(book: FactBook, event: _Event) -> None:
    told = {
        HERE: True,
        "account": event.row.account_id,
        "enabled": not event.detail.get("imported", False),
        "lost": False,
        "expires": _member(event.detail, "expires"),
        "offline_code_online": False,
        **_NO_PIN,
        **_NO_ACCESS,
    }
    _write(book, WatchedKind.TOKEN, event.row.token_id, told, replace=True)
    _step_accepted(book, event.row, event.detail.get("step"))


def _token_assigned(book: FactBook, event: _Event) -> None:
    told = {name: _member(event.detail, name) for name in ("enabled", *_NO_PIN)}
    _write(book, WatchedKind.TOKEN, event.row.token_id, {"account": event.row.account_id, **told})


def _token_taken_away(book: FactBook, event: _Event) -> None:
    values = {"account": None, "enabled": False, "offline_code_online": False, **_NO_PIN, **_NO_ACCESS}
    _write(book, WatchedKind.TOKEN, event.row.token_id, values)


def _token_removed(book: FactBook, event: _Event) -> None:
    _write(book, WatchedKind.TOKEN, event.row.token_id, {HERE: False}, replace=True)


def _pin_set(book: FactBook, event: _Event) -> None:
    must_change = _member(event.detail, "must_change")
    _write(book, WatchedKind.TOKEN, event.row.token_id, {"pin_set_at": event.at, "pin_must_change": must_change})


def _access_given(book: FactBook, event: _Event) -> None:
    left = event.detail.get("codes") if event.detail.get("kind") == _ONE_TIME else None
    _write(book, WatchedKind.TOKEN, event.row.token_id, {"access": event.at, "codes_left": left})


def _code_used(book: FactBook, event: _Event) -> None:
    if event.detail.get("kind") == _ONE_TIME:
        _write(book, WatchedKind.TOKEN, event.row.token_id, {"codes_left": _member(event.detail, "left")})


# Counts of failures


def _counts_changed(book: FactBook, event: _Event, version: object) -> None:
    """Note a new version of a user's counts. If it does not follow the last one, the counts before it were old ones."""
    if not isinstance(version, int) or event.row.account_id is None:
        return
    known = (book.find((WatchedKind.ACCOUNT, event.row.account_id)) or {}).get(COUNTS)
    told: dict[str, Fact] = {COUNTS: version}
    if isinstance(known, int) and version != known + 1:
        told |= {COUNTED_AGAIN: version, AGAIN_AT: event.at}
    _write(book, WatchedKind.ACCOUNT, event.row.account_id, told)


def _denied(book: FactBook, event: _Event) -> None:
    _counts_changed(book, event, event.detail.get("counts_version"))


def _unlocked(book: FactBook, event: _Event) -> None:
    # Unlocking draws a version at random, whatever the row had. An event of an older release was about version 0.
    if "counts_version" in event.detail:
        _write(book, WatchedKind.ACCOUNT, event.row.account_id, {COUNTS: event.detail["counts_version"]})


# Users, roles and domains


def _user_added(book: FactBook, event: _Event) -> None:
    told = {name: _member(event.detail, name) for name in ("domain", "expires")}
    told |= {HERE: True, "enabled": True, COUNTS: 0}
    _write(book, WatchedKind.ACCOUNT, event.row.account_id, told, replace=True)


def _user_changed(book: FactBook, event: _Event) -> None:
    if "expires_at" in event.detail.get("changed", ()):
        _write(book, WatchedKind.ACCOUNT, event.row.account_id, {"expires": _member(event.detail, "expires")})


def _grant(book: FactBook, event: _Event) -> None:
    holder = event.row.account_id or event.detail.get("client")
    key = grant_key(str(holder), str(event.detail.get("role")), str(event.detail.get("domain")))
    _write(
        book, WatchedKind.GRANT, key, {HERE: event.row.action == Action.ROLE_GRANTED, "account": event.row.account_id}
    )


def _role_set(book: FactBook, event: _Event) -> None:
    permissions = event.detail.get("permissions")
    told = ",".join(map(str, permissions)) if isinstance(permissions, list) else _UNKNOWN
    _write(book, WatchedKind.ROLE, event.detail.get("name"), {HERE: True, "permissions": told})


def _role_removed(book: FactBook, event: _Event) -> None:
    _write(book, WatchedKind.ROLE, event.detail.get("name"), {HERE: False}, replace=True)


def _domain_added(book: FactBook, event: _Event) -> None:
    told = {HERE: True, "parent": _member(event.detail, "parent")}
    _write(book, WatchedKind.DOMAIN, event.detail.get("name"), told, replace=True)


def _domain_removed(book: FactBook, event: _Event) -> None:
    _write(book, WatchedKind.DOMAIN, event.detail.get("name"), {HERE: False}, replace=True)


# Policies


def _policy_added(book: FactBook, event: _Event) -> None:
    _write(
        book, WatchedKind.POLICY, _policy(event.detail), {HERE: True, "revision": 1, "is_default": False}, replace=True
    )


def _policy_set(book: FactBook, event: _Event) -> None:
    _write(book, WatchedKind.POLICY, _policy(event.detail), {"revision": _member(event.detail, "revision")})


def _policy_default(book: FactBook, event: _Event) -> None:
    before = policy_key(str(event.detail.get("kind")), str(event.detail.get("before")))
    _write(book, WatchedKind.POLICY, before, {"is_default": False})
    _write(book, WatchedKind.POLICY, _policy(event.detail), {"is_default": True})


def _policy_assigned(book: FactBook, event: _Event) -> None:
    _write(
        book,
        WatchedKind.DOMAIN,
        event.detail.get("domain"),
        {f"{event.detail.get('kind')}_policy": event.detail.get("name")},
    )


def _policy_removed(book: FactBook, event: _Event) -> None:
    _write(book, WatchedKind.POLICY, _policy(event.detail), {HERE: False}, replace=True)
    # its domains are back on the default
    column = f"{event.detail.get('kind')}_policy"
    for key in book.keys_of(WatchedKind.DOMAIN):
        if (book.find((WatchedKind.DOMAIN, key)) or {}).get(column) == event.detail.get("name"):
            _write(book, WatchedKind.DOMAIN, key, {column: None})


def _policy(detail: Detail) -> str:
    return policy_key(str(detail.get("kind")), str(detail.get("name")))


# Devices, programs, passkeys, and what works once


def _device_enrolled(book: FactBook, event: _Event) -> None:
    _write(book, WatchedKind.DEVICE, event.row.device_id, {HERE: True, "revoked": False})
    _invitation_used(book, event)


def _device_revoked(book: FactBook, event: _Event) -> None:
    _write(book, WatchedKind.DEVICE, event.row.device_id, {"revoked": True})


def _invitation_used(book: FactBook, event: _Event) -> None:
    until = event.at + _INVITATION_SECONDS
    if event.row.action == Action.DEVICE_UNINVITED:
        _write(book, WatchedKind.INVITATION, event.detail.get("invitation"), {HERE: False, UNTIL: until}, replace=True)
    else:
        _write(book, WatchedKind.INVITATION, event.detail.get("invitation"), {"used": True, UNTIL: until})


def _passkey(book: FactBook, event: _Event) -> None:
    is_here = event.row.action == Action.PASSKEY_ADDED
    _write(book, WatchedKind.PASSKEY, event.detail.get("passkey"), {HERE: is_here, "account": event.row.account_id})


def _link_used(book: FactBook, event: _Event) -> None:
    _write(book, WatchedKind.LINK, event.detail.get("link"), {"used": True, UNTIL: event.at + _LINK_SECONDS})


def _approval_used(book: FactBook, event: _Event) -> None:
    told = {"executed": True, UNTIL: event.at + _APPROVAL_SECONDS}
    _write(book, WatchedKind.APPROVAL, event.detail.get("approval"), told)


def _approval_refused(book: FactBook, event: _Event) -> None:
    told = {"approved": False, UNTIL: event.at + _APPROVAL_SECONDS}
    _write(book, WatchedKind.APPROVAL, event.detail.get("approval"), told)


def _session_ended(book: FactBook, event: _Event) -> None:
    _write(
        book,
        WatchedKind.SESSION,
        event.detail.get("session"),
        {HERE: False, UNTIL: event.at + _SESSION_SECONDS},
    )


_Reader = Callable[[FactBook, _Event], None]


def _sets(kind: WatchedKind, key: str, told: Facts) -> _Reader:
    """Return a reader that writes fixed facts. `key`: the attribute of the row, or the member of the detail."""

    def read(book: FactBook, event: _Event) -> None:
        _write(book, kind, _key_in(key, event), told)

    return read


def _copies(kind: WatchedKind, key: str, fact: str, member: str) -> _Reader:
    """Return a reader that writes a member of the detail as a fact. `key` as in `_sets`."""

    def read(book: FactBook, event: _Event) -> None:
        _write(book, kind, _key_in(key, event), {fact: _member(event.detail, member)})

    return read


def _key_in(key: str, event: _Event) -> object:
    return getattr(event.row, key) if key.endswith("_id") else event.detail.get(key)


_READERS: Final[Mapping[str, _Reader]] = {
    Action.SIGN_IN_GRANTED: _granted,
    Action.SIGN_IN_ASKED: _asked,
    Action.SIGN_IN_DENIED: _denied,
    Action.ACCOUNT_UNLOCKED: _unlocked,
    Action.TOKEN_ADVANCED: _advanced,
    Action.TOKEN_RESYNCED: _resynced,
    Action.TOKEN_ADDED: _token_added,
    Action.TOKEN_ASSIGNED: _token_assigned,
    Action.TOKEN_UNASSIGNED: _token_taken_away,
    Action.TOKEN_REPLACED: _token_taken_away,
    Action.TOKEN_REMOVED: _token_removed,
    Action.TOKEN_ENABLED: _sets(WatchedKind.TOKEN, "token_id", {"enabled": True}),
    Action.TOKEN_DISABLED: _sets(WatchedKind.TOKEN, "token_id", {"enabled": False}),
    Action.TOKEN_LOST: _sets(WatchedKind.TOKEN, "token_id", {"lost": True}),
    Action.TOKEN_FOUND: _sets(WatchedKind.TOKEN, "token_id", {"lost": False}),
    Action.TOKEN_EXPIRY_SET: _copies(WatchedKind.TOKEN, "token_id", "expires", "expires"),
    Action.TOKEN_PIN_SET: _pin_set,
    Action.TOKEN_PIN_CLEARED: _sets(WatchedKind.TOKEN, "token_id", _NO_PIN),
    Action.TOKEN_PIN_FORCED: _sets(WatchedKind.TOKEN, "token_id", {"pin_must_change": True}),
    Action.EMERGENCY_ONLINE: _copies(WatchedKind.TOKEN, "token_id", "offline_code_online", "allowed"),
    Action.EMERGENCY_TEMPORARY: _access_given,
    Action.EMERGENCY_USED: _code_used,
    Action.EMERGENCY_ENDED: _sets(WatchedKind.TOKEN, "token_id", _NO_ACCESS),
    Action.EMERGENCY_SHOWN: _approval_used,
    Action.USER_ADDED: _user_added,
    Action.USER_CHANGED: _user_changed,
    Action.USER_MOVED: _copies(WatchedKind.ACCOUNT, "account_id", "domain", "domain"),
    Action.USER_ENABLED: _sets(WatchedKind.ACCOUNT, "account_id", {"enabled": True}),
    Action.USER_DISABLED: _sets(WatchedKind.ACCOUNT, "account_id", {"enabled": False}),
    Action.ROLE_GRANTED: _grant,
    Action.ROLE_REVOKED: _grant,
    Action.ROLE_ADDED: _role_set,
    Action.ROLE_CHANGED: _role_set,
    Action.ROLE_REMOVED: _role_removed,
    Action.DOMAIN_ADDED: _domain_added,
    Action.DOMAIN_MOVED: _copies(WatchedKind.DOMAIN, "name", "parent", "parent"),
    Action.DOMAIN_REMOVED: _domain_removed,
    Action.POLICY_ADDED: _policy_added,
    Action.POLICY_SET: _policy_set,
    Action.POLICY_DEFAULT: _policy_default,
    Action.POLICY_ASSIGNED: _policy_assigned,
    Action.POLICY_REMOVED: _policy_removed,
    Action.DEVICE_ENROLLED: _device_enrolled,
    Action.DEVICE_REVOKED: _device_revoked,
    Action.DEVICE_STOLEN: _device_revoked,
    Action.DEVICE_UNINVITED: _invitation_used,
    Action.CLIENT_ADDED: _sets(WatchedKind.CLIENT, "client", {HERE: True, "revoked": False}),
    Action.CLIENT_REVOKED: _sets(WatchedKind.CLIENT, "client", {"revoked": True}),
    Action.PASSKEY_ADDED: _passkey,
    Action.PASSKEY_REMOVED: _passkey,
    Action.ADMIN_LINK_USED: _link_used,
    Action.APPROVAL_REFUSED: _approval_refused,
    Action.SESSION_ENDED: _session_ended,
}
