"""The registry of all operations over REST, one line for each.

Routes, OpenAPI, the remote command line and the tests of permissions are derived from it.
"""

import functools
from collections.abc import Callable
from typing import Final

from sparekey.app.audit_log import alarms
from sparekey.app.audit_log import forwarding as event_forwarding
from sparekey.app.audit_log import reading as audit_reading
from sparekey.app.devices import devices, invitations, used_codes
from sparekey.app.devices import stolen as devices_stolen
from sparekey.app.emergency import approvals, rate_limit
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.offline import SHOW_PERMISSIONS
from sparekey.app.people import domains, roles, users
from sparekey.app.people import imports as user_imports
from sparekey.app.policies import policies
from sparekey.app.reports import reports, why
from sparekey.app.rest.operation import Operation
from sparekey.app.sessions import clients, passkeys
from sparekey.app.sessions import lists as session_lists
from sparekey.app.tokens import imports as token_imports
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens import resync as token_resync
from sparekey.app.tokens import tokens
from sparekey.core.permissions import Permission

_P: Final = Permission
_FILE: Final = 64 * 2**20  # bytes of JSON, which contains a file as hex

_CONFIRMED: Final = "If that discards data on devices, it needs `confirmed`, else 403 `confirmation-needed`."

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("POST", "/v1/users", users.add_user, _P.USER_ADD, "Add a user to a domain.", answers="id"),
    Operation("GET", "/v1/users", users.list_users, _P.USER_VIEW, "List users by login name.", pages_by="login"),
    Operation("GET", "/v1/users/{login}", users.show_user, _P.USER_VIEW, "Show a user."),
    Operation(
        "PATCH",
        "/v1/users/{login}",
        users.edit_user,
        _P.USER_EDIT,
        "Change name, mail address or expiry date of a user; 0 removes the expiry date.",
    ),
    Operation(
        "POST", "/v1/user-imports", user_imports.import_users, _P.USER_ADD, "Import users from CSV.", largest=_FILE
    ),
    Operation("PUT", "/v1/users/{login}/enabled", users.set_enabled, _P.USER_EDIT, "Enable or disable a user."),
    Operation(
        "POST",
        "/v1/users/{login}/unlock",
        users.unlock,
        _P.USER_UNLOCK,
        "Unlock a user and reset the failure count.",
        answers="cleared",
    ),
    Operation(
        "GET",
        "/v1/users/{login}/used-codes",
        used_codes.codes_used_up_of_user,
        _P.USER_VIEW,
        "List the codes of a user that devices used up by reports of offline sign-ins in the last 30 days.",
    ),
    Operation("PUT", "/v1/users/{login}/domain", users.move_user, _P.USER_MOVE, "Move a user to another domain."),
    Operation(
        "GET",
        "/v1/users/{login}/effective-policy",
        policies.effective_of,
        _P.USER_VIEW,
        "Show the effective offline policy of a user, on this device or on one in the user's own domain.",
    ),
    Operation(
        "POST",
        "/v1/users/{login}/tokens",
        tokens.add_token,
        _P.TOKEN_ASSIGN,
        "Add a token for a user. Without a seed, the server makes one and shows it once.",
    ),
    Operation(
        "GET",
        "/v1/tokens",
        tokens.list_tokens,
        _P.TOKEN_VIEW,
        "List tokens by serial number, or the tokens of one user.",
        pages_by="serial",
    ),
    Operation("GET", "/v1/tokens/{serial}", tokens.show_token, _P.TOKEN_VIEW, "Show a token."),
    Operation(
        "DELETE",
        "/v1/tokens/{serial}",
        token_lifecycle.remove,
        _P.TOKEN_REMOVE,
        "Remove a token; with `assigned_too` even if it is assigned.",
    ),
    Operation(
        "POST",
        "/v1/token-imports",
        token_imports.import_tokens,
        _P.TOKEN_IMPORT,
        "Import tokens from CSV, PSKC or .sdtid.",
        largest=_FILE,
    ),
    Operation("PUT", "/v1/tokens/{serial}/user", token_lifecycle.assign, _P.TOKEN_ASSIGN, "Assign a token to a user."),
    Operation(
        "DELETE",
        "/v1/tokens/{serial}/user",
        token_lifecycle.unassign,
        _P.TOKEN_ASSIGN,
        "Unassign a token from its user.",
        answers="user",
    ),
    Operation(
        "POST",
        "/v1/tokens/{serial}/replace",
        token_lifecycle.replace,
        _P.TOKEN_ASSIGN,
        "Replace a token by another one; without a serial number, by the next available one.",
    ),
    Operation(
        "POST",
        "/v1/tokens/{serial}/resync",
        token_resync.resync,
        _P.TOKEN_EDIT,
        "Resync a drifted token with two successive tokencodes.",
    ),
    Operation("PUT", "/v1/tokens/{serial}/pin", tokens.set_pin, _P.PIN_SET, "Set the PIN of a token."),
    Operation(
        "DELETE",
        "/v1/tokens/{serial}/pin",
        tokens.clear_pin,
        _P.PIN_SET,
        "Clear the PIN of a token. Its user chooses a new one at the next sign-in.",
    ),
    Operation("PUT", "/v1/tokens/{serial}/enabled", tokens.set_enabled, _P.TOKEN_EDIT, "Enable or disable a token."),
    Operation(
        "PUT",
        "/v1/tokens/{serial}/expiry",
        tokens.set_expiry,
        _P.TOKEN_EDIT,
        "Set or remove the expiry date of a token.",
    ),
    Operation("PUT", "/v1/tokens/{serial}/lost", tokens.set_lost, _P.TOKEN_EDIT, "Mark a token as lost or found."),
    Operation(
        "PUT",
        "/v1/tokens/{serial}/offline-code-online",
        emergency.set_online,
        _P.EMERGENCY_ONLINE,
        "Allow or forbid a token's offline emergency tokencode for online sign-ins.",
    ),
    Operation(
        "GET",
        "/v1/tokens/{serial}/online-emergency",
        online_emergency.access_of,
        _P.EMERGENCY_VIEW,
        "Show a token's temporary online access, without its codes.",
    ),
    Operation(
        "POST",
        "/v1/tokens/{serial}/online-emergency/fixed",
        online_emergency.give_fixed,
        _P.EMERGENCY_TEMPORARY,
        "Give temporary online access with one reusable tokencode.",
    ),
    Operation(
        "POST",
        "/v1/tokens/{serial}/online-emergency/one-time",
        online_emergency.give_one_time,
        _P.EMERGENCY_TEMPORARY,
        "Give temporary online access with one-time tokencodes.",
    ),
    Operation(
        "DELETE",
        "/v1/tokens/{serial}/online-emergency",
        online_emergency.end,
        _P.EMERGENCY_TEMPORARY,
        "End a token's temporary online access.",
    ),
    Operation(
        "GET",
        "/v1/emergency-codes/{kind}/{name}",
        emergency.held_codes,
        _P.EMERGENCY_VIEW,
        "List the devices that hold an offline emergency code, and its version (of a serial or a login).",
    ),
    Operation(
        "GET",
        "/v1/emergency-codes/{kind}/{name}/history",
        emergency.history,
        _P.EMERGENCY_VIEW,
        "List the events of an offline emergency code, newest first.",
    ),
    Operation(
        "POST",
        "/v1/emergency-codes/{kind}/{name}/showings",
        emergency.show,
        SHOW_PERMISSIONS,
        "Show the offline emergency code that the caller's device holds.",
    ),
    Operation(
        "POST",
        "/v1/emergency-codes/{kind}/{name}/reset",
        emergency.reset,
        _P.EMERGENCY_RESET,
        "Replace an offline emergency code at the next online sign-in.",
        answers="devices",
    ),
    Operation(
        "POST",
        "/v1/device-invitations",
        invitations.invite,
        _P.DEVICE_INVITE,
        "Make a one-time code to enrol a device.",
        answers="code",
    ),
    Operation(
        "GET",
        "/v1/device-invitations",
        invitations.list_invitations,
        _P.DEVICE_VIEW,
        "List unused invitations by device name.",
        pages_by="id",
    ),
    Operation(
        "DELETE",
        "/v1/device-invitations/{invitation_id}",
        invitations.withdraw,
        _P.DEVICE_REVOKE,
        "Withdraw an invitation. Its code no longer works.",
    ),
    Operation(
        "GET", "/v1/devices", devices.list_devices, _P.DEVICE_VIEW, "List devices by name.", pages_by="device_id"
    ),
    Operation("GET", "/v1/devices/{name}", devices.show_device, _P.DEVICE_VIEW, "Show a device, by name or id."),
    Operation(
        "GET", "/v1/devices/{name}/units", devices.held_units, _P.DEVICE_VIEW, "List the offline data of a device."
    ),
    Operation(
        "GET",
        "/v1/devices/{name}/used-codes",
        used_codes.codes_used_up_by_device,
        _P.DEVICE_VIEW,
        "List the codes that a device used up by reports of offline sign-ins in the last 30 days.",
    ),
    Operation(
        "POST",
        "/v1/devices/{name}/revoke",
        devices.revoke,
        _P.DEVICE_REVOKE,
        "Revoke a device. It erases its data at its next contact.",
    ),
    Operation(
        "GET",
        "/v1/devices/{name}/stolen",
        devices_stolen.look_at_stolen,
        _P.DEVICE_REVOKE,
        "Show what a theft report would invalidate, and the affected users.",
    ),
    Operation(
        "POST",
        "/v1/devices/{name}/stolen",
        devices_stolen.report_stolen,
        _P.DEVICE_REVOKE,
        "Report a device as stolen. This revokes it and invalidates what its data could reveal.",
    ),
    Operation("POST", "/v1/domains", domains.add_domain, _P.DOMAIN_MANAGE, "Add a security domain."),
    Operation(
        "GET",
        "/v1/domains",
        domains.list_domains,
        _P.DOMAIN_VIEW,
        "List the security domains, each followed by its child domains.",
    ),
    Operation(
        "GET",
        "/v1/domains/{name}",
        domains.show_domain,
        _P.DOMAIN_VIEW,
        "Show a security domain: its policies and the number of its objects.",
    ),
    Operation(
        "PUT",
        "/v1/domains/{name}/parent",
        domains.move_domain,
        _P.DOMAIN_MANAGE,
        "Move a security domain with all domains below it.",
    ),
    Operation(
        "DELETE", "/v1/domains/{name}", domains.remove_domain, _P.DOMAIN_MANAGE, "Remove an empty security domain."
    ),
    Operation(
        "PUT",
        "/v1/domains/{domain}/policies/{kind}",
        policies.assign_policy,
        _P.POLICY_MANAGE,
        "Put a security domain under a policy; without a name: the default. " + _CONFIRMED,
    ),
    Operation(
        "POST",
        "/v1/policies/{kind}",
        policies.add_policy,
        _P.POLICY_MANAGE,
        "Add a policy. Fields that you leave out have their defaults.",
    ),
    Operation(
        "GET",
        "/v1/policies/{kind}",
        policies.list_policies,
        _P.POLICY_VIEW,
        "List policies of a kind by name.",
        pages_by="name",
    ),
    Operation("GET", "/v1/policies/{kind}/{name}", policies.show_policy, _P.POLICY_VIEW, "Show a policy."),
    Operation(
        "PATCH",
        "/v1/policies/{kind}/{name}",
        policies.set_fields,
        _P.POLICY_MANAGE,
        "Change fields of a policy. " + _CONFIRMED,
    ),
    Operation(
        "DELETE",
        "/v1/policies/{kind}/{name}",
        policies.remove_policy,
        _P.POLICY_MANAGE,
        "Remove a policy; its domains go back to the default. " + _CONFIRMED,
    ),
    Operation(
        "PUT",
        "/v1/policies/{kind}/{name}/default",
        policies.make_default,
        _P.POLICY_MANAGE,
        "Make a policy the default of its kind. " + _CONFIRMED,
    ),
    Operation("POST", "/v1/roles", roles.add_role, _P.ROLE_MANAGE, "Add a role."),
    Operation("GET", "/v1/roles", roles.list_roles, _P.ROLE_VIEW, "List roles, the predefined ones first."),
    Operation(
        "GET", "/v1/roles/{name}", roles.show_role, _P.ROLE_VIEW, "Show the permissions and the holders of a role."
    ),
    Operation(
        "PUT",
        "/v1/roles/{name}/permissions",
        roles.set_permissions,
        _P.ROLE_MANAGE,
        "Replace the permissions of a role.",
    ),
    Operation("DELETE", "/v1/roles/{name}", roles.remove_role, _P.ROLE_MANAGE, "Remove a role without holders."),
    Operation(
        "GET",
        "/v1/role-grants",
        roles.list_grants,
        _P.ROLE_VIEW,
        "List role grants: all of them, or those of one holder.",
    ),
    Operation(
        "POST",
        "/v1/role-grants",
        roles.grant,
        _P.ROLE_MANAGE,
        "Grant a role to a user or an API client, in a domain and the domains below.",
    ),
    Operation(
        "DELETE",
        "/v1/role-grants/{role}/{kind}/{holder}/{domain}",
        roles.revoke,
        _P.ROLE_MANAGE,
        "Revoke a role grant.",
    ),
    Operation(
        "GET",
        "/v1/admin-sessions",
        session_lists.list_sessions,
        _P.SESSION_VIEW,
        "List the sessions of administrators by login name.",
        pages_by="cursor",
    ),
    Operation(
        "DELETE",
        "/v1/admin-sessions/{session}",
        session_lists.end_session_of,
        _P.SESSION_END,
        "End a session of an administrator.",
    ),
    Operation(
        "GET", "/v1/users/{login}/passkeys", passkeys.list_passkeys, _P.USER_VIEW, "List the passkeys of a user."
    ),
    Operation(
        "DELETE",
        "/v1/users/{login}/passkeys/{passkey}",
        passkeys.remove_passkey,
        _P.TOKEN_EDIT,
        "Remove a passkey of a user and end the user's sessions.",
    ),
    Operation(
        "POST",
        "/v1/clients",
        clients.add_client,
        _P.CLIENT_MANAGE,
        "Add an API client. Its key is shown once.",
        answers="key",
    ),
    Operation("GET", "/v1/clients", clients.list_clients, _P.CLIENT_VIEW, "List API clients by name.", pages_by="name"),
    Operation("GET", "/v1/clients/{name}", clients.show_client, _P.CLIENT_VIEW, "Show an API client."),
    Operation(
        "POST", "/v1/clients/{name}/revoke", clients.revoke_client, _P.CLIENT_MANAGE, "Revoke the key of an API client."
    ),
    Operation(
        "GET",
        "/v1/approvals",
        approvals.list_approvals,
        _P.EMERGENCY_APPROVE,
        "List the approval requests of the last day: your own, and those that you can decide.",
        pages_by="id",
    ),
    Operation(
        "POST",
        "/v1/approvals/{approval_id}/approve",
        approvals.approve,
        _P.EMERGENCY_APPROVE,
        "Approve that an operator sees an emergency passcode once.",
    ),
    Operation(
        "POST",
        "/v1/approvals/{approval_id}/refuse",
        approvals.refuse,
        _P.EMERGENCY_APPROVE,
        "Refuse that an operator sees an emergency passcode.",
    ),
    Operation(
        "GET",
        "/v1/operators",
        rate_limit.list_operators,
        _P.OPERATOR_LIFT,
        "List operators who showed emergency codes within the last hour, and operators with a raised limit.",
    ),
    Operation(
        "POST",
        "/v1/operators/{operator}/lift",
        rate_limit.lift,
        _P.OPERATOR_LIFT,
        "Raise an operator's hourly code limit for a while.",
    ),
    Operation(
        "GET",
        "/v1/alarms",
        alarms.list_alarms,
        _P.AUDIT_VIEW,
        "List open alarms, or all alarms, newest first.",
        pages_by="id",
    ),
    Operation(
        "POST", "/v1/alarms/{alarm_id}/acknowledge", alarms.acknowledge, _P.ALARM_ACKNOWLEDGE, "Acknowledge an alarm."
    ),
    Operation(
        "GET",
        "/v1/users/{login}/why",
        why.explain,
        _P.USER_VIEW,
        "Explain every rule about a user's sign-in, online and on each device.",
    ),
    Operation(
        "GET",
        "/v1/reports/readiness",
        reports.readiness_page,
        _P.REPORT_VIEW,
        "List how each user could sign in offline on each device, and until when.",
    ),
    Operation(
        "GET",
        "/v1/reports/forecast",
        reports.forecast_page,
        _P.REPORT_VIEW,
        "List users who could not sign in with their token if the network failed now, or within a week.",
    ),
    Operation(
        "GET",
        "/v1/events",
        event_forwarding.next_events,
        _P.AUDIT_VIEW,
        "Return the events of the next batch of the audit log.",
    ),
    Operation(
        "GET", "/v1/audit", audit_reading.list_events, _P.AUDIT_VIEW, "List the audit log, newest first.", pages_by="id"
    ),
)


@functools.cache
def _by_use_case() -> dict[Callable[..., object], Operation]:
    return {operation.use_case: operation for operation in OPERATIONS}


def find_operation(use_case: Callable[..., object]) -> Operation | None:
    """Return the operation of a use case; None: it is not available over REST."""
    return _by_use_case().get(use_case)
