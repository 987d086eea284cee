"""The kinds of policy, each with its type and fields. Storage, commands and documents are derived from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from sparekey.core.policy.fields import PolicyField
from sparekey.core.policy.lockout import LOCKOUT_FIELDS, LockoutPolicy
from sparekey.core.policy.offline import FIELDS, OfflinePolicy
from sparekey.core.policy.token import TOKEN_FIELDS, TokenPolicy

StoredPolicy: TypeAlias = OfflinePolicy | TokenPolicy | LockoutPolicy
"""A policy of any kind, as it is stored."""


class PolicyKind(StrEnum):
    """A kind of policy. Each security domain has one policy of each kind: the assigned one, or else the default."""

    OFFLINE = "offline"
    TOKEN = "token"
    LOCKOUT = "lockout"

    @classmethod
    def of(cls, stored: type[StoredPolicy]) -> "PolicyKind":
        """Return the kind whose policies have this type."""
        return next(kind for kind, entry in _KINDS.items() if entry.type is stored)

    @property
    def type(self) -> type[StoredPolicy]:
        """The type of its policies: a frozen dataclass with `of(values)`."""
        return _KINDS[self].type

    @property
    def fields(self) -> Mapping[str, PolicyField]:
        return _KINDS[self].fields


@dataclass(frozen=True)
class _Kind:
    type: type[StoredPolicy]
    fields: Mapping[str, PolicyField]


_KINDS: Final[Mapping[PolicyKind, _Kind]] = {
    PolicyKind.OFFLINE: _Kind(OfflinePolicy, FIELDS),
    PolicyKind.TOKEN: _Kind(TokenPolicy, TOKEN_FIELDS),
    PolicyKind.LOCKOUT: _Kind(LockoutPolicy, LOCKOUT_FIELDS),
}
