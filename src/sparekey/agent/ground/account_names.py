"""Which Sparekey login an account of this computer signs in as.

- Without a map the two names are the same.
- With one, the map is the whole truth: whoever does not stand in it signs in as nobody, so that an account of this
  computer that happens to be called like somebody else at Sparekey is not taken for that person. An administrator who
  wants both says so (`unmapped_names = "same"`).
- Two accounts may have one login: they share its counters and its offline data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Names:
    """`mapped`: account of this computer to login; `same`: whoever is not mapped has one name for both."""

    mapped: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    same: bool = True

    def find_login(self, account: str) -> str | None:
        """None: this account signs in as nobody."""
        return self.mapped.get(account, account if self.same else None)

    def accounts_of(self, login: str) -> list[str]:
        """The accounts that sign in as that login, as far as names tell: there need not be such an account."""
        accounts = sorted(account for account, mapped in self.mapped.items() if mapped == login)
        return [login, *accounts] if self.same and login not in self.mapped else accounts

    @property
    def nobody(self) -> bool:
        """Whether no account at all has a login."""
        return not self.same and not self.mapped


SAME_NAMES = Names()
