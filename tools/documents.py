"""Documents that are generated from the source: `python -m tools.documents` writes docs/settings.md, docs/policy.md,
docs/roles.md and docs/rest.md.

They are derived from the dataclasses that the code enforces. A house test compares them.
"""

from collections.abc import Mapping
from pathlib import Path

from sparekey.app.rest.operation import Operation
from sparekey.app.rest.registry import OPERATIONS
from sparekey.core.permissions import PREDEFINED, Permission
from sparekey.core.policy.fields import EditEffect, PolicyField
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.offline import FIELDS
from sparekey.server.settings import SETTINGS
from tools.tree import ROOT

_SETTINGS = """# Settings

Generated from `src/sparekey/server/settings.py` by `python -m tools.documents`; a test keeps it up to date.

Settings configure one server process. Policies say what users may do (docs/policy.md).

`sparekey init` writes the settings to `sparekey.toml` in the data directory. You can also set each key as an
environment variable, which overrides the file. `sparekey serve --listen` overrides both. `sparekey config check` prints
the values in force.

The server does not start if the file is missing or empty, has an unknown key, or has a value that is not allowed. Other
users must not be able to read the file: it may contain the database password.

| Key | Variable | Default | Allowed | Meaning |
|---|---|---|---|---|
"""

_POLICY = """# Policies

Generated from `offline.py`, `token.py` and `lockout.py` in `src/sparekey/core/policy/` by `python -m tools.documents`;
a test keeps it up to date.

There are three kinds: offline, token and lockout. A policy has a name and is assigned to security domains. One policy
of each kind is the default: a domain without an assigned policy uses it. **Policies are not inherited from parent
domains.** `sparekey domain show NAME` lists the policies in force in a domain.

```
sparekey policy offline add Travel days=7 help_text='Help desk: 555 0100'
sparekey policy offline assign Travel --domain Sales
sparekey policy token set Default pin_minimum=6 pin_characters='letters and digits'
sparekey policy lockout set Default unlock_after_minutes=30
sparekey policy lockout default Strict            # any policy can become the default
sparekey policy token fields                      # prints the fields below
```

## Changes of policies

Four changes put another policy in force: an edit, an assignment, a removal (its domains go back to the default) and the
choice of another default. They all have the effect of an edit, from the old values to the new ones. The column *effect
of an edit* says what happens to data that exist already:

| Effect | Meaning |
|---|---|
"""

_POLICY_CHANGES = """
A change that would discard or erase data, or end codes, must be confirmed: by `--yes` on the command line, by
`confirmed` over REST (else the answer is 403 `confirmation-needed`, with the number of users and devices), and on a
second page in the console. Devices that are offline keep the old data until their next contact. A milder value discards
nothing.

## Offline policy

The user's domain and the device's domain may have different policies. They are merged field by field.
`sparekey policy effective USER --device NAME` prints each value with its source.

| Field | Default | Allowed | Which of two values is in force | Effect of an edit | Meaning |
|---|---|---|---|---|---|
"""

_EFFECTS: Mapping[EditEffect, str] = {
    EditEffect.NOTHING: "Devices keep their data. Values that a device enforces reach it at its next contact.",
    EditEffect.RENEWS_CODES: "Devices keep each code until the new one has arrived.",
    EditEffect.ERASES: "Devices erase only that, at their next contact; everything else stays.",
    EditEffect.DISCARDS: "Devices erase what is no longer allowed at their next contact; the rest is renewed.",
    EditEffect.RENEWS: "Devices keep the old data until the new ones have arrived.",
    EditEffect.ENDS_OWN_CODES: "They end at once, in the transaction of the change.",
}

_ONLINE_POLICY = """
## {} policy

The policy of the user's security domain applies. An edit takes effect at the next sign-in.

| Field | Default | Allowed | Effect of an edit | Meaning |
|---|---|---|---|---|
"""

_ROLES = """# Roles

Generated from `src/sparekey/core/permissions.py` by `python -m tools.documents`; a test keeps it up to date.

A role is a set of permissions. Grant it to a user or an API client in a security domain. It applies in that domain and
in all domains below it, including domains and objects that are added or moved there later. A user with several roles
has the permissions of all of them.

```
sparekey admin link                               # the first one: on the server, as root
sparekey role grant 'super administrator' alice   # another one
sparekey role grant 'help desk' carol --domain Sales
sparekey role add 'night desk' user.view token.view emergency.view emergency.tokencode-show
sparekey role grant 'night desk' --client portal --domain Sales
sparekey role show 'help desk'                    # its permissions and its holders
```

- **Administrators do not see objects outside their domains.** The error message is the same as for an object that does
  not exist. For a visible object, the error names the missing permission. There is one exception, because logins,
  serial numbers, and the names of domains and API clients are unique on the whole server: if you add or import one that
  an object outside your domains has, the refusal tells you that it is taken. Each such refusal is counted, and ten
  within an hour raise the alarm `alarm.names-learnt`.
- **You cannot grant permissions that you do not have**, neither with a role nor by changing a role. Your own roles are
  the same in all domains, so you make and change them at the top domain. Predefined roles cannot be changed.
- **You cannot change a user or an API client with more permissions than you have.** This includes the user's tokens,
  PINs, codes and roles.
- **You cannot gain permissions by moving** a user or a domain.
- **There is always a super administrator who can sign in**: a user who is enabled and not expired, holds the role at
  the top domain, and has a passkey or an enabled, unexpired token with a PIN. Sparekey refuses every change that would
  remove the last one, or leave only accounts that have an expiry date: revoking a role, disabling a user, disabling,
  unassigning or removing a token, removing a passkey. This applies to root on the server, too: make another super
  administrator first. (You can always mark a token as lost and report a device as stolen.)
- **Administrators sign in with two factors**: a PIN before the tokencode, or a passkey. A token without a PIN does not
  open any interface for administrators. `sparekey admin link` lets in the first administrator, and administrators who
  have lost all other ways to sign in.
- **Failures of users with a role count apart** at the console and for sessions over REST, and everywhere else (devices,
  ssh, VPN, API clients, self-service). Wrong passcodes at a login screen never lock an administrator out of the
  console, nor end a console session. Each count has the limit of the lockout policy. The locks end automatically: the
  first after 15 minutes, each following one after twice as long, up to a day; after a success, 15 minutes again. After
  a hundred failures without a success only a person ends the lock, and an alarm is raised. After a lock, the next
  tokencode is asked for, too. `sparekey user unlock` clears both counts, `sparekey user why` shows them. No lock
  refuses a passkey. A role that is granted or revoked changes no lock that stands.
- Objects that belong to no domain (policies, roles, instances) need the permission at the top domain.

Commands with `--data` on the server act as root (`os:NAME` in the audit log), with all permissions and the limits
above. Only root can list, show and accept rows that another program altered, with `sparekey row`
([notices.md](notices.md)).

| Permission |"""


_REST = """# REST for administration

Generated from `src/sparekey/app/rest/registry.py` by `python -m tools.documents`; a test keeps it up to date.

REST offers what the command `sparekey` does on the server, with the same permissions and the same words. The server
describes all requests and answers at `/openapi.json`.

A program that only verifies passcodes needs the key of an API client (`sparekey client add`) and no role. Each request
uses up the passcode. `result` is `granted`, `denied` or `ask` ([tokens.md](tokens.md)):

```
curl --cacert ca.pem -H 'Authorization: Bearer spk_...' https://login.example.org:8443/v1/sign-ins \\
  --json '{"user": "alice", "passcode": "4711abcd123456"}'
{"result": "granted", "user": "alice", "method": "tokencode", ...}
```

On another computer, the command line uses REST:

```
sparekey login --server https://login.example.org:8443 --as carol --ca ca.pem     # asks for the passcode
sparekey user list --server https://login.example.org:8443 --as carol
sparekey logout --server https://login.example.org:8443 --as carol
```

Set `SPAREKEY_SERVER`, `SPAREKEY_AS` and `SPAREKEY_SERVER_CA` to avoid repeating the options. `ca.pem` is a copy of
`DIR/keys/ca.pem` on the server. `sparekey login` stores the session and its CA in a file below
`$XDG_STATE_HOME/sparekey` that other users cannot read. `init`, `serve`, `config`, `doctor`, `upgrade`, `audit verify`
and `audit chain` work only on the server itself.

## Signing in

```
curl --cacert ca.pem https://login.example.org:8443/v1/sessions \\
  --json '{"user": "carol", "passcode": "4711abcd123456"}'
{"result": "granted", "misread": [], "session": "sps_...", "expires_at": 1800100800, ...}

curl --cacert ca.pem -H 'Authorization: Bearer sps_...' 'https://login.example.org:8443/v1/users?limit=100'
{"items": [{"login": "alice", ...}], "next": "alice"}
```

- **A session** is for a user who holds a role ([roles.md](roles.md)). For other users the server verifies no passcode
  and counts no failure. `result` is `granted`, `denied` or `ask`. After `ask`, send the answer to `text` to the same
  path as `passcode`, with the `reply_to` of the challenge: once, within two minutes, from the same address.
- A session ends 15 minutes after its last use, 12 hours after it began, and with `DELETE /v1/sessions`. It ends at once
  when the user is disabled, expired or without a role, when failures at the console or over REST lock the user (unless
  the last second factor was a passkey), when one of the user's PINs changes, and when one of the user's tokens is lost,
  disabled or unassigned. The session's token is shown once; the server keeps a hash.
- **Dangerous operations** need a second factor that is at most ten minutes old. Otherwise the answer is 403
  `second-factor-needed`: send `{"passcode": ...}` to `POST /v1/sessions/second-factor`, or log in again. So does
  editing, moving, enabling or disabling more than ten users within an hour.
- **Confirmations**: a change of policies that would discard data gets 403 `confirmation-needed` and changes nothing.
  The message names the data, the users and the devices. Send the request again with `"confirmed": true`.
- **An API client** (`sparekey client add`) sends its key instead of a session token. With a role, it may do what the
  role allows, within its own scope and from its own addresses. An API client has no second factor and is not asked for
  one: grant it no more than it needs, and restrict its addresses.

## Requests and answers

- Names in a path are percent-encoded (`Sales%2FBern`). `GET` takes the other members from the query, everything else
  from a JSON object; what is unknown, doubled or of another type is refused. Times are unix seconds, bytes are hex.
- **Lists** hold `items`; where there is `next` and it is not null, the next page is the same request with `after` (of
  the record: `before`) set to it. `limit` is at most 10,000. Grants and operators are listed up to 1,000: `cut` says
  that there are more.
- An answer without content is 204. An answer may hold a secret that is shown once; no answer may be cached.
- **Confirmations**: a change of policies that would discard data gets 403 `confirmation-needed`, and does nothing.
  The message says which data, of how many users on how many devices. Send it again with `"confirmed": true`.
- **Errors** are `{error, message, do}`: a word for programs, what is wrong, what to do. 400 not as described, or a
  value that is not allowed; 401 unknown; 403 a permission, a rule or a second factor is missing; 404 not there, or
  outside the caller's domains; 409 conflict with the current state; 413 too large; 429 and 503: try again later.
- Every change is in the audit log under `user:ID` or `client:ID`.

## Operations

*Fresh* means that the operation needs a second factor that is at most ten minutes old.

| Request | Permission | Fresh | What it does |
|---|---|---|---|
"""


def documents() -> Mapping[Path, str]:
    """Map each generated document, by its path from the root, to its text."""
    return {
        Path("docs/settings.md"): _settings(),
        Path("docs/policy.md"): _policy(),
        Path("docs/roles.md"): _roles(),
        Path("docs/rest.md"): _rest(),
    }


def _settings() -> str:
    rows = [
        (f"`{name}`", f"`{each.variable}`", _shown(each.default), each.allowed, each.meaning)
        for name, each in SETTINGS.items()
    ]
    return _SETTINGS + "".join(map(_row, rows))


def _policy() -> str:
    rows = [
        (f"`{name}`", _shown(each.default), _allowed(each), _merged(each), each.effect.value, each.meaning)
        for name, each in FIELDS.items()
    ]
    effects = "".join(_row((effect.value, _EFFECTS[effect])) for effect in EditEffect)
    return (
        _POLICY
        + effects
        + _POLICY_CHANGES
        + "".join(map(_row, rows))
        + _online_policy(PolicyKind.TOKEN)
        + _online_policy(PolicyKind.LOCKOUT)
    )


def _online_policy(kind: PolicyKind) -> str:
    rows = [
        (f"`{name}`", _shown(each.default), _allowed(each), each.effect.value, each.meaning)
        for name, each in kind.fields.items()
    ]
    return _ONLINE_POLICY.format(kind.value.capitalize()) + "".join(map(_row, rows))


def _roles() -> str:
    head = "".join(f" {role} |" for role in PREDEFINED) + "\n|---|" + "---|" * len(PREDEFINED) + "\n"
    rows = [
        (f"`{each}`", *("yes" if each in permissions else "" for permissions in PREDEFINED.values()))
        for each in Permission
    ]
    return _ROLES + head + "".join(map(_row, rows))


def _rest() -> str:
    rows = [
        (f"`{each.method} {each.path}`", _needed(each), "yes" if each.needs_fresh_second_factor else "", each.words)
        for each in OPERATIONS
    ]
    return _REST + "".join(map(_row, rows))


def _needed(operation: Operation) -> str:
    if isinstance(operation.permission, Permission):
        return f"`{operation.permission}`"
    return ", ".join(f"`{each}`" for each in operation.permission.values())


def _allowed(field: PolicyField) -> str:
    return f"{field.allowed} ({field.unit})" if field.unit else field.allowed


def _merged(field: PolicyField) -> str:
    """Return the merge rule; for `the stricter wins`, say which value is stricter."""
    if field.merge.value != "the stricter wins":
        return field.merge.value
    if field.choices:
        return f"the stricter: {field.choices[-1]}"
    low, high = (False, True) if field.kind is bool else (field.low, field.high)
    strictest = max((low, high), key=field.strictness)
    if field.kind is bool:
        return f"the stricter: {_shown(strictest)}"
    return f"the stricter: {'more' if strictest is high else 'fewer'}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value in ("", ()):
        return "empty"
    return f"`{value}`"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def main() -> None:
    for name, text in documents().items():
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
