"""The Sparekey login of each account of this computer.

- Without a map, both names are the same.
- With a map, only mapped accounts have a login. Otherwise an account that happens to have the name of another person's
  login would sign in as that person. Administrators who want both set `unmapped_names = "same"`.
- Two accounts may have the same login: they share its counters and its offline data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Names:
    """The map of accounts. `mapped` gives the login of an account; `same` is True if other accounts have a login of
    their own name."""

    mapped: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    same: bool = True

    def find_login(self, account: str) -> str | None:
        """Return the login of this account; None if it has none."""
        return self.mapped.get(account, account if self.same else None)

    def accounts_of(self, login: str) -> list[str]:
        """Return the accounts that sign in as this login, by their names: they need not exist on this computer."""
        accounts = sorted(account for account, mapped in self.mapped.items() if mapped == login)
        return [login, *accounts] if self.same and login not in self.mapped else accounts

    @property
    def has_no_logins(self) -> bool:
        """Return True if no account has a login."""
        return not self.same and not self.mapped


SAME_NAMES = Names()
