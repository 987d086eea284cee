"""Find the policies in force: those of the users in a domain, and the merged one of a user on a device."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TypeVar

from sqlalchemy import Connection

from sparekey.app.snapshots import account_state
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.lockout import InterfaceGroup, LockoutPolicy
from sparekey.core.policy.offline import AssignedPolicy, EffectivePolicy, OfflinePolicy, effective_policy
from sparekey.core.policy.token import TokenPolicy
from sparekey.core.sign_in.authenticate import AccountState
from sparekey.storage.people.accounts import Account
from sparekey.storage.policies import policies
from sparekey.storage.policies.policies import PolicyInForce

P = TypeVar("P", TokenPolicy, LockoutPolicy)
Q = TypeVar("Q", OfflinePolicy, TokenPolicy, LockoutPolicy)


def effective_in(connection: Connection, user_domain: str, device_domain: str) -> EffectivePolicy:
    """Return the merged offline policy of two domains, given by id."""
    return effective_policy(_assigned(connection, user_domain), _assigned(connection, device_domain))


def effective_on(connection: Connection, user_domain: str, device_domains: Iterable[str]) -> dict[str, EffectivePolicy]:
    """Return the merged offline policies for devices of several domains, by domain id, with one query."""
    wanted = {user_domain, *device_domains}
    rows = policies.policies_of_domains(connection, PolicyKind.OFFLINE, wanted)
    found = {row.domain_id: _assigned_policy(row) for row in rows}
    return {domain_id: effective_policy(found.get(user_domain), found.get(domain_id)) for domain_id in wanted}


def offline_everywhere(connection: Connection) -> Callable[[str, str], EffectivePolicy]:
    """Return a function like `effective_in` for any two domains, with one query. For reports about many users."""
    rows = policies.policies_of_domains(connection, PolicyKind.OFFLINE)
    assigned = {row.domain_id: _assigned_policy(row) for row in rows}
    return cache(
        lambda user_domain, device_domain: effective_policy(assigned.get(user_domain), assigned.get(device_domain))
    )


def policy_everywhere(connection: Connection, kind: type[P]) -> Callable[[str], P]:
    """Return a function like `policy_in` for any domain, with one query."""
    rows = policies.policies_of_domains(connection, PolicyKind.of(kind))
    found: Mapping[str, P] = {row.domain_id: _policy_of(row, kind) for row in rows}
    return found.__getitem__


def policy_in(connection: Connection, domain_id: str, kind: type[P]) -> P:
    """Return the token or lockout policy in force in a domain. Raises LookupError if there is none."""
    row = policies.policy_of_domain(connection, PolicyKind.of(kind), domain_id)
    if row is None:
        raise LookupError(f"no {kind.__name__} is in force in a domain")
    return _policy_of(row, kind)


def account_state_of(
    connection: Connection, account: Account, group: InterfaceGroup = InterfaceGroup.ELSEWHERE
) -> AccountState:
    """Return the account as the core decides on it at these interfaces, under the policies in force in its domain."""
    lockout = policy_in(connection, account.domain_id, LockoutPolicy)
    return account_state(account, lockout, policy_in(connection, account.domain_id, TokenPolicy), group)


def _assigned(connection: Connection, domain_id: str) -> AssignedPolicy | None:
    row = policies.policy_of_domain(connection, PolicyKind.OFFLINE, domain_id)
    return _assigned_policy(row) if row is not None else None


def _assigned_policy(found: PolicyInForce) -> AssignedPolicy:
    values = _policy_of(found, OfflinePolicy)
    return AssignedPolicy(found.named.name, found.domain, values, found.named.revision)


def _policy_of(found: PolicyInForce, kind: type[Q]) -> Q:
    policy = found.named.policy
    if not isinstance(policy, kind):
        raise TypeError(f"this is no {kind.__name__}")
    return policy
