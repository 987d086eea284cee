"""The actions that the audit log names: one name for each kind of event, `noun.verb`.

Rules: a name keeps its meaning forever; a person must look at `alarm.*`.
"""

from enum import StrEnum
from typing import Final

OK: Final = "ok"  # the result of a success; the result of a refusal is its reason


class Action(StrEnum):
    """The action of an event. The event's `result`, ids and `detail` tell to whom, how, and why it was refused."""

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
    USERS_IMPORTED = "users.imported"  # a whole file; each of its users is logged as added, too

    TOKEN_ADDED = "token.added"
    TOKEN_IMPORTED = "token.imported"  # a whole file; each of its tokens is logged as added, too
    TOKEN_ASSIGNED = "token.assigned"
    TOKEN_UNASSIGNED = "token.unassigned"
    TOKEN_ENABLED = "token.enabled"
    TOKEN_DISABLED = "token.disabled"
    TOKEN_LOST = "token.lost"
    TOKEN_FOUND = "token.found"
    TOKEN_EXPIRY_SET = "token.expiry-set"
    TOKEN_PIN_SET = "token.pin-set"
    TOKEN_PIN_CLEARED = "token.pin-cleared"
    TOKEN_PIN_FORCED = "token.pin-forced"  # the user must change it at the next sign-in
    TOKEN_REPLACED = "token.replaced"  # by another one, which is logged as assigned
    TOKEN_RESYNCED = "token.resynced"
    TOKEN_ADVANCED = "token.advanced"  # its steps up to this one are used up, because a device reported a success
    TOKEN_REMOVED = "token.removed"

    EMERGENCY_SHOWN = "emergency.shown"
    EMERGENCY_RESET = "emergency.reset"
    EMERGENCY_ONLINE = "emergency.online"  # an administrator allowed or forbade online use of the offline code
    EMERGENCY_USED = "emergency.used"
    EMERGENCY_REPLACED = "emergency.replaced"
    EMERGENCY_TEMPORARY = "emergency.temporary"  # online access with a fixed tokencode, or with one-time tokencodes
    EMERGENCY_ENDED = "emergency.ended"
    EMERGENCY_VOIDED = "emergency.voided"  # all versions of an offline code, because a device that held one was stolen

    DEVICE_INVITED = "device.invited"
    DEVICE_UNINVITED = "device.uninvited"  # an unused invitation was withdrawn
    DEVICE_ENROLLED = "device.enrolled"
    DEVICE_RENEWED = "device.renewed"
    DEVICE_PROTECTION = "device.protection"  # the device reports another protection of its keys
    DEVICE_EXEMPT = "device.exempt"  # the device reports a new list of exempt os_accounts
    DEVICE_REVOKED = "device.revoked"
    DEVICE_STOLEN = "device.stolen"
    DEVICE_EVENT = "device.event"  # an event that the device logged while it was offline
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
    ADMIN_LINK_MADE = "admin-link.made"  # it makes its bearer a super administrator
    ADMIN_LINK_USED = "admin-link.used"

    APPROVAL_ASKED = "approval.asked"  # for an act by which one person alone could sign in as the user
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_REFUSED = "approval.refused"
    APPROVAL_USED = "approval.used"  # by the act
    OPERATOR_LIFTED = "operator.lifted"  # may show more codes than the policy allows, for a limited time

    SERVER_INITIALISED = "server.initialised"
    SERVER_STARTED = "server.started"
    SERVER_UPGRADED = "server.upgraded"  # its database was brought to a newer revision
    KEY_CREATED = "key.created"
    ROWS_SEALED = "rows.sealed"  # once, by an upgrade

    ALARMS_ACKNOWLEDGED = "alarms.acknowledged"  # an administrator has looked at them; not an alarm itself

    ALARM_AUDIT_ROLLED_BACK = "alarm.audit-rolled-back"  # the log lacks events that a checkpoint vouches for
    ALARM_STATE_ROLLED_BACK = "alarm.state-rolled-back"  # the database contradicts the chained audit log
    ALARM_STEP_USED_TWICE = "alarm.step-used-twice"  # online and offline, by different attempts
    ALARM_EMERGENCY_UNSHOWN = "alarm.emergency-unshown"  # a code was used that no operator had shown
    ALARM_UNEXPECTED_SUCCESS = "alarm.unexpected-success"  # offline, with a token that the device never had
    ALARM_SUCCESS_AHEAD = "alarm.success-ahead"  # offline, with a code that the token does not show yet
    ALARM_SUCCESS_IN_CONTACT = "alarm.success-in-contact"  # offline, at a time when the device was in contact
    ALARM_CODES_USED_UP = "alarm.codes-used-up"  # by one device, more than the server believes
    ALARM_EVENTS_MISSING = "alarm.events-missing"  # a gap or a break in a device's chain of events
    ALARM_TLS_FAILURE = "alarm.tls-failure"  # reported by a device
    ALARM_CLOCK = "alarm.clock"
    ALARM_OPERATOR_BUSY = "alarm.operator-busy"  # an operator has shown more emergency codes than the policy expects
    ALARM_OPERATOR_STOPPED = "alarm.operator-stopped"  # an operator asked for more than the policy allows
    ALARM_NAMES_LEARNT = "alarm.names-learnt"  # an operator tried many names that objects elsewhere have
    ALARM_ROW_ALTERED = "alarm.row-altered"  # the database was changed by another program than ours
    ALARM_ROW_ACCEPTED = "alarm.row-accepted"  # an administrator of the server has sealed an altered row
    ALARM_PASSKEY_COPIED = "alarm.passkey-copied"  # its use count is lower than before
    ALARM_ADMINISTRATOR_LOCKED = "alarm.administrator-locked"  # a lock that only a person ends

    @property
    def is_alarm(self) -> bool:
        """True if a person must look at the event."""
        return self.value.startswith("alarm.")
