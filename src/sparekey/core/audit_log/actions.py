"""The names of what is put on record: one per thing that happens, `noun.verb`.

Rules: a name once used keeps its meaning; `alarm.*` asks a person to look.
"""

from enum import StrEnum
from typing import Final

OK: Final = "ok"  # the result of what was done; otherwise `result` is the reason of the refusal


class Action(StrEnum):
    """What happened. The audit row's `result`, ids and `detail` say to whom, how and why not."""

    SIGN_IN_GRANTED = "sign-in.granted"
    SIGN_IN_DENIED = "sign-in.denied"
    SIGN_IN_ASKED = "sign-in.asked"
    SIGN_IN_OFFLINE = "sign-in.offline"

    ACCOUNT_LOCKED = "account.locked"
    ACCOUNT_UNLOCKED = "account.unlocked"
    USER_ADDED = "user.added"
    USER_CHANGED = "user.changed"
    USER_MOVED = "user.moved"
    USER_ENABLED = "user.enabled"
    USER_DISABLED = "user.disabled"
    USERS_IMPORTED = "users.imported"  # a whole file; each of its users is put on record as added

    TOKEN_ADDED = "token.added"
    TOKEN_IMPORTED = "token.imported"  # a whole file; each of its tokens is put on record as added
    TOKEN_ASSIGNED = "token.assigned"
    TOKEN_UNASSIGNED = "token.unassigned"
    TOKEN_ENABLED = "token.enabled"
    TOKEN_DISABLED = "token.disabled"
    TOKEN_LOST = "token.lost"
    TOKEN_FOUND = "token.found"
    TOKEN_EXPIRY_SET = "token.expiry-set"
    TOKEN_PIN_SET = "token.pin-set"
    TOKEN_PIN_CLEARED = "token.pin-cleared"
    TOKEN_PIN_FORCED = "token.pin-forced"  # it has to be changed at the next sign-in
    TOKEN_REPLACED = "token.replaced"  # by another one, which is put on record as assigned
    TOKEN_RESYNCED = "token.resynced"
    TOKEN_REMOVED = "token.removed"

    EMERGENCY_SHOWN = "emergency.shown"
    EMERGENCY_RESET = "emergency.reset"
    EMERGENCY_ONLINE = "emergency.online"  # online use of the offline code allowed or forbidden
    EMERGENCY_USED = "emergency.used"
    EMERGENCY_REPLACED = "emergency.replaced"
    EMERGENCY_TEMPORARY = "emergency.temporary"  # online access with a fixed tokencode, or with one-time tokencodes
    EMERGENCY_ENDED = "emergency.ended"
    EMERGENCY_VOIDED = "emergency.voided"  # every version of an offline code, for a device that held one was stolen

    DEVICE_INVITED = "device.invited"
    DEVICE_UNINVITED = "device.uninvited"  # an invitation that nobody used was withdrawn
    DEVICE_ENROLLED = "device.enrolled"
    DEVICE_RENEWED = "device.renewed"
    DEVICE_PROTECTION = "device.protection"  # it says that its keys stand under something else
    DEVICE_EXEMPT = "device.exempt"  # it says that other accounts sign in there without a passcode
    DEVICE_REVOKED = "device.revoked"
    DEVICE_STOLEN = "device.stolen"
    DEVICE_EVENT = "device.event"  # uploaded: what happened there while it was offline
    UNIT_SEALED = "unit.sealed"

    DOMAIN_ADDED = "domain.added"
    DOMAIN_MOVED = "domain.moved"
    DOMAIN_REMOVED = "domain.removed"
    POLICY_ADDED = "policy.added"
    POLICY_SET = "policy.set"
    POLICY_ASSIGNED = "policy.assigned"
    POLICY_DEFAULT = "policy.default"
    POLICY_REMOVED = "policy.removed"

    CLIENT_ADDED = "client.added"
    CLIENT_REVOKED = "client.revoked"

    ROLE_ADDED = "role.added"
    ROLE_CHANGED = "role.changed"
    ROLE_REMOVED = "role.removed"
    ROLE_GRANTED = "role.granted"
    ROLE_REVOKED = "role.revoked"

    SESSION_BEGUN = "session.begun"  # of an administrator
    SESSION_REFRESHED = "session.refreshed"  # by a fresh second factor
    SESSION_ENDED = "session.ended"

    PASSKEY_ADDED = "passkey.added"
    PASSKEY_REMOVED = "passkey.removed"
    ADMIN_LINK_MADE = "admin-link.made"  # whoever has it becomes a super administrator
    ADMIN_LINK_USED = "admin-link.used"

    APPROVAL_ASKED = "approval.asked"  # for the showing of a passcode
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_REFUSED = "approval.refused"
    OPERATOR_LIFTED = "operator.lifted"  # shown more codes than policy allows, until then

    SERVER_INITIALISED = "server.initialised"
    SERVER_STARTED = "server.started"
    SERVER_UPGRADED = "server.upgraded"  # its database was brought to a newer revision
    KEY_CREATED = "key.created"

    ALARMS_ACKNOWLEDGED = "alarms.acknowledged"  # somebody has looked at one: no alarm itself

    ALARM_AUDIT_ROLLED_BACK = "alarm.audit-rolled-back"  # the record lacks what a checkpoint vouches for
    ALARM_STEP_USED_TWICE = "alarm.step-used-twice"  # online and offline, by different attempts
    ALARM_EMERGENCY_UNSHOWN = "alarm.emergency-unshown"  # a code was used that nobody was shown
    ALARM_UNEXPECTED_SUCCESS = "alarm.unexpected-success"  # offline, with a token that the device never had
    ALARM_EVENTS_MISSING = "alarm.events-missing"  # a gap or a break in a device's chain of events
    ALARM_TLS_FAILURE = "alarm.tls-failure"  # reported by a device
    ALARM_CLOCK = "alarm.clock"
    ALARM_OPERATOR_BUSY = "alarm.operator-busy"  # is shown more emergency codes than policy expects
    ALARM_OPERATOR_STOPPED = "alarm.operator-stopped"  # asks for more than policy allows
    ALARM_PASSKEY_COPIED = "alarm.passkey-copied"  # its authenticator has counted less than before

    @property
    def is_alarm(self) -> bool:
        """Whether a person has to look at it."""
        return self.value.startswith("alarm.")
