"""Who may do what: permissions, the predefined roles, and the actor that every use case is given.

Rules:
- A role is a set of permissions; granted in a security domain, it holds for that domain and everything below it.
- What lies outside every domain of an actor does not exist for that actor.
- Nobody changes an account whose holder, or an API client that, has rights that the actor does not have.
- The decision is pure: domains are ids, and "below" has been worked out by who made the actor.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """One thing that a person may be allowed to do: noun and verb."""

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
        """Whether nothing is changed by what it allows."""
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
    # everything in a domain, and nothing that is the same for all of them
    "domain administrator": frozenset(Permission) - {_P.POLICY_MANAGE, _P.INSTANCE_MANAGE},
    "token administrator": _TOKEN_ADMINISTRATOR,
    "help desk": _HELP_DESK,
    "auditor": _AUDITOR,
}


@dataclass(frozen=True)
class Grant:
    """Permissions in some domains; `domains` None: in all of them, whichever there will be."""

    permissions: frozenset[Permission]
    domains: frozenset[str] | None


@dataclass(frozen=True)
class Actor:
    """Who acts, as the record names them (`os:NAME`, `user:ID`, `client:ID`), and what they may do."""

    name: str
    grants: tuple[Grant, ...] = ()
    account_id: str | None = None  # of an administrator who is a user here

    @classmethod
    def of_system(cls, name: str) -> "Actor":
        """Root on the server, who has the database anyway: everything, everywhere."""
        return cls(name, (Grant(frozenset(Permission), None),))

    def may(self, permission: Permission, domain_id: str | None) -> bool:
        """In this domain; None: in all of them (what belongs to no domain)."""
        return any(permission in grant.permissions and _covers(grant, domain_id) for grant in self.grants)

    def sees(self, domain_id: str | None) -> bool:
        """Whether anything in this domain exists for the actor."""
        return any(grant.permissions and _covers(grant, domain_id) for grant in self.grants)

    def domains_with(self, permission: Permission) -> frozenset[str] | None:
        """Where the actor has it, for queries; None: everywhere."""
        found = [grant.domains for grant in self.grants if permission in grant.permissions]
        if None in found:
            return None
        return frozenset().union(*(domains for domains in found if domains is not None))

    def covers(self, others: Iterable[Grant]) -> bool:
        """Whether the actor has every right that these grants give, wherever they give it."""
        return all(
            self.may(permission, domain_id)
            for grant in others
            for permission in grant.permissions
            for domain_id in (grant.domains if grant.domains is not None else (None,))
        )


def _covers(grant: Grant, domain_id: str | None) -> bool:
    return grant.domains is None or (domain_id is not None and domain_id in grant.domains)
