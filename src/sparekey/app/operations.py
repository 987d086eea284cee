"""Everything that can be done over REST, one line each: routes, OpenAPI, the remote command line and the tests of who
may do what are derived from it.
"""

import functools
from collections.abc import Callable
from typing import Any, Final

from sparekey.app import (
    alarms,
    approvals,
    audit_reading,
    clients,
    devices,
    devices_stolen,
    domains,
    emergency,
    event_forwarding,
    online_emergency,
    operators,
    policies,
    reports,
    roles,
    token_imports,
    token_lifecycle,
    token_resync,
    tokens,
    user_imports,
    users,
    why,
)
from sparekey.app.emergency import SHOW_PERMISSIONS
from sparekey.app.operation import Operation
from sparekey.core.permissions import Permission

_P: Final = Permission
_FILE: Final = 64 * 2**20  # bytes of JSON: a file is in it in hex

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("POST", "/v1/users", users.add_user, _P.USER_ADD, answers="id"),
    Operation("GET", "/v1/users", users.list_users, _P.USER_VIEW, pages_by="login"),
    Operation("GET", "/v1/users/{login}", users.show_user, _P.USER_VIEW),
    Operation("PATCH", "/v1/users/{login}", users.edit_user, _P.USER_EDIT),
    Operation("POST", "/v1/user-imports", user_imports.import_users, _P.USER_ADD, largest=_FILE),
    Operation("PUT", "/v1/users/{login}/enabled", users.set_enabled, _P.USER_EDIT),
    Operation("POST", "/v1/users/{login}/unlock", users.unlock, _P.USER_UNLOCK, answers="cleared"),
    Operation("PUT", "/v1/users/{login}/domain", users.move_user, _P.USER_MOVE),
    Operation("GET", "/v1/users/{login}/effective-policy", policies.effective_of, _P.USER_VIEW),
    Operation("POST", "/v1/users/{login}/tokens", tokens.add_token, _P.TOKEN_ASSIGN),
    Operation("GET", "/v1/tokens", tokens.list_tokens, _P.TOKEN_VIEW, pages_by="serial"),
    Operation("GET", "/v1/tokens/{serial}", tokens.show_token, _P.TOKEN_VIEW),
    Operation("DELETE", "/v1/tokens/{serial}", token_lifecycle.remove, _P.TOKEN_REMOVE),
    Operation("POST", "/v1/token-imports", token_imports.import_tokens, _P.TOKEN_IMPORT, largest=_FILE),
    Operation("PUT", "/v1/tokens/{serial}/user", token_lifecycle.assign, _P.TOKEN_ASSIGN),
    Operation("DELETE", "/v1/tokens/{serial}/user", token_lifecycle.unassign, _P.TOKEN_ASSIGN, answers="user"),
    Operation("POST", "/v1/tokens/{serial}/replace", token_lifecycle.replace, _P.TOKEN_ASSIGN),
    Operation("POST", "/v1/tokens/{serial}/resync", token_resync.resync, _P.TOKEN_EDIT),
    Operation("PUT", "/v1/tokens/{serial}/pin", tokens.set_pin, _P.PIN_SET),
    Operation("DELETE", "/v1/tokens/{serial}/pin", tokens.clear_pin, _P.PIN_SET),
    Operation("PUT", "/v1/tokens/{serial}/enabled", tokens.set_enabled, _P.TOKEN_EDIT),
    Operation("PUT", "/v1/tokens/{serial}/lost", tokens.set_lost, _P.TOKEN_EDIT),
    Operation("PUT", "/v1/tokens/{serial}/offline-code-online", emergency.set_online, _P.EMERGENCY_ONLINE),
    Operation("GET", "/v1/tokens/{serial}/online-emergency", online_emergency.access_of, _P.EMERGENCY_VIEW),
    Operation("POST", "/v1/tokens/{serial}/online-emergency/fixed", online_emergency.give_fixed,
              _P.EMERGENCY_TEMPORARY),
    Operation("POST", "/v1/tokens/{serial}/online-emergency/one-time", online_emergency.give_one_time,
              _P.EMERGENCY_TEMPORARY),
    Operation("DELETE", "/v1/tokens/{serial}/online-emergency", online_emergency.end, _P.EMERGENCY_TEMPORARY),
    Operation("GET", "/v1/emergency-codes/{kind}/{name}", emergency.held_codes, _P.EMERGENCY_VIEW),
    Operation("GET", "/v1/emergency-codes/{kind}/{name}/history", emergency.history, _P.EMERGENCY_VIEW),
    Operation("POST", "/v1/emergency-codes/{kind}/{name}/showings", emergency.show, SHOW_PERMISSIONS),
    Operation("POST", "/v1/emergency-codes/{kind}/{name}/reset", emergency.reset, _P.EMERGENCY_RESET,
              answers="devices"),
    Operation("POST", "/v1/device-invitations", devices.invite, _P.DEVICE_INVITE, answers="code"),
    Operation("GET", "/v1/devices", devices.list_devices, _P.DEVICE_VIEW, pages_by="device_id"),
    Operation("GET", "/v1/devices/{name}", devices.show_device, _P.DEVICE_VIEW),
    Operation("GET", "/v1/devices/{name}/units", devices.held_units, _P.DEVICE_VIEW),
    Operation("POST", "/v1/devices/{name}/revoke", devices.revoke, _P.DEVICE_REVOKE),
    Operation("GET", "/v1/devices/{name}/stolen", devices_stolen.look_at_stolen, _P.DEVICE_REVOKE),
    Operation("POST", "/v1/devices/{name}/stolen", devices_stolen.report_stolen, _P.DEVICE_REVOKE),
    Operation("POST", "/v1/domains", domains.add_domain, _P.DOMAIN_MANAGE),
    Operation("GET", "/v1/domains", domains.list_domains, _P.DOMAIN_VIEW),
    Operation("GET", "/v1/domains/{name}", domains.show_domain, _P.DOMAIN_VIEW),
    Operation("PUT", "/v1/domains/{name}/parent", domains.move_domain, _P.DOMAIN_MANAGE),
    Operation("DELETE", "/v1/domains/{name}", domains.remove_domain, _P.DOMAIN_MANAGE),
    Operation("PUT", "/v1/domains/{domain}/policies/{kind}", policies.assign_policy, _P.POLICY_MANAGE),
    Operation("POST", "/v1/policies/{kind}", policies.add_policy, _P.POLICY_MANAGE),
    Operation("GET", "/v1/policies/{kind}", policies.list_policies, _P.POLICY_VIEW, pages_by="name"),
    Operation("GET", "/v1/policies/{kind}/{name}", policies.show_policy, _P.POLICY_VIEW),
    Operation("PATCH", "/v1/policies/{kind}/{name}", policies.set_fields, _P.POLICY_MANAGE),
    Operation("DELETE", "/v1/policies/{kind}/{name}", policies.remove_policy, _P.POLICY_MANAGE),
    Operation("POST", "/v1/roles", roles.add_role, _P.ROLE_MANAGE),
    Operation("GET", "/v1/roles", roles.list_roles, _P.ROLE_VIEW),
    Operation("GET", "/v1/roles/{name}", roles.show_role, _P.ROLE_VIEW),
    Operation("PUT", "/v1/roles/{name}/permissions", roles.set_permissions, _P.ROLE_MANAGE),
    Operation("DELETE", "/v1/roles/{name}", roles.remove_role, _P.ROLE_MANAGE),
    Operation("GET", "/v1/role-grants", roles.list_grants, _P.ROLE_VIEW),
    Operation("POST", "/v1/role-grants", roles.grant, _P.ROLE_MANAGE),
    Operation("DELETE", "/v1/role-grants/{role}/{kind}/{holder}/{domain}", roles.revoke, _P.ROLE_MANAGE),
    Operation("POST", "/v1/clients", clients.add_client, _P.CLIENT_MANAGE, answers="key"),
    Operation("GET", "/v1/clients", clients.list_clients, _P.CLIENT_VIEW, pages_by="name"),
    Operation("POST", "/v1/clients/{name}/revoke", clients.revoke_client, _P.CLIENT_MANAGE),
    Operation("GET", "/v1/approvals", approvals.list_approvals, _P.EMERGENCY_APPROVE),
    Operation("POST", "/v1/approvals/{approval_id}/approve", approvals.approve, _P.EMERGENCY_APPROVE),
    Operation("POST", "/v1/approvals/{approval_id}/refuse", approvals.refuse, _P.EMERGENCY_APPROVE),
    Operation("GET", "/v1/operators", operators.list_operators, _P.OPERATOR_LIFT),
    Operation("POST", "/v1/operators/{operator}/lift", operators.lift, _P.OPERATOR_LIFT),
    Operation("GET", "/v1/alarms", alarms.list_alarms, _P.AUDIT_VIEW),
    Operation("POST", "/v1/alarms/{alarm_id}/acknowledge", alarms.acknowledge, _P.ALARM_ACKNOWLEDGE),
    Operation("GET", "/v1/users/{login}/why", why.explain, _P.USER_VIEW),
    Operation("GET", "/v1/reports/readiness", reports.readiness_page, _P.REPORT_VIEW),
    Operation("GET", "/v1/reports/forecast", reports.forecast_page, _P.REPORT_VIEW),
    Operation("GET", "/v1/events", event_forwarding.next_events, _P.AUDIT_VIEW),
    Operation("GET", "/v1/audit", audit_reading.list_record, _P.AUDIT_VIEW, pages_by="id"),
)  # fmt: skip


@functools.cache
def _by_use_case() -> dict[Callable[..., Any], Operation]:
    return {operation.use_case: operation for operation in OPERATIONS}


def find_operation(use_case: Callable[..., Any]) -> Operation | None:
    """The operation of a use case; None: it is not for programs."""
    return _by_use_case().get(use_case)
