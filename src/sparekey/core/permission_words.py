"""Texts for permissions: in groups, one phrase each."""

from collections.abc import Mapping
from typing import Final

from sparekey.core.permissions import Permission

_P: Final = Permission

PERMISSION_GROUPS: Final[Mapping[str, Mapping[Permission, str]]] = {
    "Users": {
        _P.USER_VIEW: "see users, and check whether they can sign in",
        _P.USER_ADD: "add and import users",
        _P.USER_EDIT: "change, enable and disable users",
        _P.USER_MOVE: "move users to another security domain",
        _P.USER_UNLOCK: "unlock users",
    },
    "Tokens": {
        _P.TOKEN_VIEW: "see tokens",
        _P.TOKEN_IMPORT: "import tokens",
        _P.TOKEN_ASSIGN: "assign, unassign and replace tokens",
        _P.TOKEN_EDIT: "enable, disable and resync tokens, mark them as lost",
        _P.TOKEN_REMOVE: "remove tokens permanently",
        _P.PIN_SET: "set and clear PINs",
    },
    "Emergency access": {
        _P.EMERGENCY_VIEW: "see which device holds which emergency code, and its history",
        _P.EMERGENCY_TOKENCODE_SHOW: "show offline emergency tokencodes",
        _P.EMERGENCY_PASSCODE_SHOW: "show offline emergency passcodes",
        _P.EMERGENCY_RESET: "reset offline emergency codes",
        _P.EMERGENCY_ONLINE: "allow online use of offline emergency codes",
        _P.EMERGENCY_TEMPORARY: "give online emergency access",
        _P.EMERGENCY_APPROVE: "approve requests of other operators for passcodes",
        _P.OPERATOR_LIFT: "lift the hourly code limit of other operators",
    },
    "Devices": {
        _P.DEVICE_VIEW: "see devices",
        _P.DEVICE_INVITE: "invite devices",
        _P.DEVICE_REVOKE: "revoke devices, and report them stolen",
    },
    "Security domains and policies": {
        _P.DOMAIN_VIEW: "see security domains",
        _P.DOMAIN_MANAGE: "add, move and remove security domains",
        _P.POLICY_VIEW: "see policies",
        _P.POLICY_MANAGE: "change policies, and assign them to security domains",
    },
    "Roles, sessions and API clients": {
        _P.ROLE_VIEW: "see roles, and who holds them",
        _P.ROLE_MANAGE: "grant and revoke roles; in the top domain, also add and edit them",
        _P.SESSION_VIEW: "see who is signed in as an administrator",
        _P.SESSION_END: "end sessions of administrators",
        _P.CLIENT_VIEW: "see API clients",
        _P.CLIENT_MANAGE: "add and revoke API clients",
    },
    "Audit log and server": {
        _P.REPORT_VIEW: "see readiness and forecast reports",
        _P.AUDIT_VIEW: "read the audit log and the alarms",
        _P.ALARM_ACKNOWLEDGE: "acknowledge alarms",
        _P.INSTANCE_MANAGE: "see and manage instances and settings",
    },
}
_WORDS: Final = {permission: words for group in PERMISSION_GROUPS.values() for permission, words in group.items()}


def allows(permission: str) -> str:
    """Return the phrase of a permission, for example `see users`; an unknown permission is returned as it is."""
    return _WORDS.get(Permission(permission), permission) if permission in {*Permission} else permission
