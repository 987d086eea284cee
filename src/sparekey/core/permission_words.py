"""Permissions as people read them: in groups, each with one phrase that says what it allows."""

from collections.abc import Mapping
from typing import Final

from sparekey.core.permissions import Permission

_P: Final = Permission

PERMISSION_GROUPS: Final[Mapping[str, Mapping[Permission, str]]] = {
    "Users": {
        _P.USER_VIEW: "see users, and why they can sign in or not",
        _P.USER_ADD: "add and import users",
        _P.USER_EDIT: "change, enable and disable users",
        _P.USER_MOVE: "move users to another security domain",
        _P.USER_UNLOCK: "unlock users",
    },
    "Tokens": {
        _P.TOKEN_VIEW: "see tokens",
        _P.TOKEN_IMPORT: "import tokens",
        _P.TOKEN_ASSIGN: "give tokens to users, take them away, replace them",
        _P.TOKEN_EDIT: "enable, disable and resync tokens, mark them as lost",
        _P.TOKEN_REMOVE: "remove tokens for good",
        _P.PIN_SET: "set and clear PINs",
    },
    "Emergency access": {
        _P.EMERGENCY_VIEW: "see which device holds which emergency code, and its history",
        _P.EMERGENCY_TOKENCODE_SHOW: "show offline emergency tokencodes",
        _P.EMERGENCY_PASSCODE_SHOW: "show offline emergency passcodes",
        _P.EMERGENCY_RESET: "reset offline emergency codes",
        _P.EMERGENCY_ONLINE: "let the server accept an offline emergency code",
        _P.EMERGENCY_TEMPORARY: "give temporary access at the server",
        _P.EMERGENCY_APPROVE: "approve that somebody else is shown a passcode",
        _P.OPERATOR_LIFT: "let an operator go on beyond the limit of codes",
    },
    "Devices": {
        _P.DEVICE_VIEW: "see devices",
        _P.DEVICE_INVITE: "invite devices",
        _P.DEVICE_REVOKE: "revoke devices, and report them as stolen",
    },
    "Security domains and policies": {
        _P.DOMAIN_VIEW: "see security domains",
        _P.DOMAIN_MANAGE: "add, move and remove security domains",
        _P.POLICY_VIEW: "see policies",
        _P.POLICY_MANAGE: "change policies, and assign them to security domains",
    },
    "Roles, sessions and API clients": {
        _P.ROLE_VIEW: "see roles, and who holds them",
        _P.ROLE_MANAGE: "grant and revoke roles; at the top, make and change them",
        _P.SESSION_VIEW: "see who is signed in as an administrator",
        _P.SESSION_END: "end sessions of administrators",
        _P.CLIENT_VIEW: "see API clients",
        _P.CLIENT_MANAGE: "add and revoke API clients",
    },
    "Record and server": {
        _P.REPORT_VIEW: "see reports: who is ready, and who runs out",
        _P.AUDIT_VIEW: "read the audit record and the alarms",
        _P.ALARM_ACKNOWLEDGE: "say that somebody has looked at an alarm",
        _P.INSTANCE_MANAGE: "see and manage instances and settings",
    },
}
_WORDS: Final = {permission: words for group in PERMISSION_GROUPS.values() for permission, words in group.items()}


def allows(permission: str) -> str:
    """`see users`; one that is not known here as it is written."""
    return _WORDS.get(Permission(permission), permission) if permission in {*Permission} else permission
