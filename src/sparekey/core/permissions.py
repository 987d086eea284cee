"""Permissions, the predefined roles, and the actor of a use case.

Rules:
- A role is a set of permissions. Granted in a security domain, it applies there and in all domains below.
- Objects outside all domains of an actor do not exist for that actor.
- Actors cannot change a user or an API client with rights that they do not have themselves.
- The decision is pure: domains are ids, and the caller who makes the actor has listed the domains below.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """One thing that a user or a program may do: noun and verb."""

    USER_VIEW = "user.view"
    USER_ADD = "user.add"
    USER_EDIT = "user.edit"
    USER_MOVE = "user.move"
    USER_UNLOCK = "user.unlock"
    TOKEN_VIEW = "token.view"
    TOKEN_IMPORT = "token.import"
    TOKEN_ASSIGN = "token.assign"
    TOKEN_EDIT = "token.edit"
    TOKEN_REMOVE = "token.remove"
    PIN_SET = "pin.set"
    EMERGENCY_VIEW = "emergency.view"
    EMERGENCY_TOKENCODE_SHOW = "emergency.tokencode-show"
    EMERGENCY_PASSCODE_SHOW = "emergency.passcode-show"
    EMERGENCY_RESET = "emergency.reset"
    EMERGENCY_ONLINE = "emergency.online"
    EMERGENCY_TEMPORARY = "emergency.temporary"  # fixed and one-time tokencodes at the server
    EMERGENCY_APPROVE = "emergency.approve"
    DEVICE_VIEW = "device.view"
    DEVICE_INVITE = "device.invite"
    DEVICE_REVOKE = "device.revoke"
    DOMAIN_VIEW = "domain.view"
    DOMAIN_MANAGE = "domain.manage"
    POLICY_VIEW = "policy.view"
    POLICY_MANAGE = "policy.manage"
    ROLE_VIEW = "role.view"
    ROLE_MANAGE = "role.manage"
    SESSION_VIEW = "session.view"
    SESSION_END = "session.end"
    CLIENT_VIEW = "client.view"
    CLIENT_MANAGE = "client.manage"
    REPORT_VIEW = "report.view"
    AUDIT_VIEW = "audit.view"
    ALARM_ACKNOWLEDGE = "alarm.acknowledge"
    OPERATOR_LIFT = "operator.lift"
    INSTANCE_MANAGE = "instance.manage"

    @property
    def only_looks(self) -> bool:
        """True if the permission allows reading alone."""
        return self.value.endswith(".view")


_P = Permission
_LOOK: Final = frozenset(
    {_P.USER_VIEW, _P.TOKEN_VIEW, _P.EMERGENCY_VIEW, _P.DEVICE_VIEW, _P.DOMAIN_VIEW, _P.REPORT_VIEW}
)
_HELP_DESK: Final = _LOOK | {
    _P.USER_UNLOCK,
    _P.TOKEN_EDIT,
    _P.PIN_SET,
    _P.EMERGENCY_TOKENCODE_SHOW,
    _P.EMERGENCY_PASSCODE_SHOW,
    _P.EMERGENCY_RESET,
    _P.EMERGENCY_ONLINE,
    _P.EMERGENCY_TEMPORARY,
}
_TOKEN_ADMINISTRATOR: Final = _LOOK | {
    _P.TOKEN_IMPORT,
    _P.TOKEN_ASSIGN,
    _P.TOKEN_EDIT,
    _P.TOKEN_REMOVE,
    _P.PIN_SET,
    _P.EMERGENCY_TEMPORARY,
}
_AUDITOR: Final = _LOOK | {_P.POLICY_VIEW, _P.ROLE_VIEW, _P.SESSION_VIEW, _P.CLIENT_VIEW, _P.AUDIT_VIEW}

SUPER_ADMINISTRATOR: Final = "super administrator"
PREDEFINED: Final[Mapping[str, frozenset[Permission]]] = {
    SUPER_ADMINISTRATOR: frozenset(Permission),
    # everything in a domain, but nothing that all domains share
    "domain administrator": frozenset(Permission) - {_P.POLICY_MANAGE, _P.INSTANCE_MANAGE},
    "token administrator": _TOKEN_ADMINISTRATOR,
    "help desk": _HELP_DESK,
    "auditor": _AUDITOR,
}


@dataclass(frozen=True)
class Grant:
    """Permissions in some domains. `domains` None: in all domains, including future ones."""

    permissions: frozenset[Permission]
    domains: frozenset[str] | None


@dataclass(frozen=True)
class Actor:
    """The actor of a use case: a name as in the audit log (`os:NAME`, `user:ID`, `client:ID`), and permissions.

    `fresh_until`: the unix second at which the last second factor is no longer fresh. None: the actor has none (root,
    an API client).
    """

    name: str
    grants: tuple[Grant, ...] = ()
    account_id: str | None = None  # of an administrator who is a user here
    fresh_until: int | None = None

    @classmethod
    def of_system(cls, name: str) -> "Actor":
        """Return the actor for root on the server. It may do everything: root can read the database anyway."""
        return cls(name, (Grant(frozenset(Permission), None),))

    def may(self, permission: Permission, domain_id: str | None) -> bool:
        """Return True if the actor has the permission in this domain; None: in all domains."""
        return any(permission in grant.permissions and _covers(grant, domain_id) for grant in self.grants)

    def sees(self, domain_id: str | None) -> bool:
        """Return True if objects of this domain exist for the actor."""
        return any(grant.permissions and _covers(grant, domain_id) for grant in self.grants)

    def domains_with(self, permission: Permission) -> frozenset[str] | None:
        """Return the domains in which the actor has the permission, for queries; None: all domains."""
        found = [grant.domains for grant in self.grants if permission in grant.permissions]
        if None in found:
            return None
        return frozenset().union(*(domains for domains in found if domains is not None))

    def covers(self, others: Iterable[Grant]) -> bool:
        """Return True if the actor has every permission of these grants in every domain of theirs."""
        return all(
            self.may(permission, domain_id)
            for grant in others
            for permission in grant.permissions
            for domain_id in (grant.domains if grant.domains is not None else (None,))
        )


def _covers(grant: Grant, domain_id: str | None) -> bool:
    return grant.domains is None or (domain_id is not None and domain_id in grant.domains)
