"""Documents that are written from the source: `python -m tools.documents` writes docs/settings.md, docs/policy.md,
docs/roles.md and docs/rest.md.

Rules: they are derived from the dataclasses that are enforced, and a house test compares.
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

Written from `src/sparekey/server/settings.py` by `python -m tools.documents`; a test keeps it true.

Settings are what one server process is told; what users may do is policy (docs/policy.md). They stand in
`sparekey.toml` in the data directory, which `sparekey init` makes, and each key can also be given as a variable of the
environment, which goes before the file. `sparekey serve --listen` goes before both. `sparekey config check` shows what
is in force.

Nothing is guessed: without the file, with an empty one, with an unknown key or a value that is not allowed the server
does not start. The file must not be readable by others: it may hold the database's password.

| Key | Variable | Default | Allowed | Meaning |
|---|---|---|---|---|
"""

_POLICY = """# Policies

Written from `policy.py`, `token_policy.py` and `lockout.py` in `src/sparekey/core/` by `python -m tools.documents`; a
test keeps it true.

There are three kinds: offline, token and lockout. A policy is stored under a name and assigned to security domains. One
policy of each kind is the default: it is in force in every domain to which no other is assigned. **Policies are not
inherited from parent domains.** `sparekey domain show NAME` shows the policies in force in a domain.

```
sparekey policy offline add Travel days=7 help_text='Help desk: 555 0100'
sparekey policy offline assign Travel --domain Sales
sparekey policy token set Default pin_minimum=6 pin_characters='letters and digits'
sparekey policy lockout set Default unlock_after_minutes=30
sparekey policy lockout default Strict            # any policy can become the default
sparekey policy token fields                      # the tables below, on the command line
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

What is in force for one user on one device results from the policy of the user's domain and that of the device's
domain, field by field; `sparekey policy effective USER --device NAME` shows each value and its source.

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

The user's security domain decides; an edit is in force at the next sign-in.

| Field | Default | Allowed | Effect of an edit | Meaning |
|---|---|---|---|---|
"""

_ROLES = """# Roles

Written from `src/sparekey/core/permissions.py` by `python -m tools.documents`; a test keeps it true.

A role is a set of permissions. Granted to a user or an API client in a security domain, it holds in that domain and in
everything below it, also in what is added or moved there later. Who holds several roles has the rights of all of them.

```
sparekey admin link                               # the first one: on the server, as root
sparekey role grant 'super administrator' alice   # one more
sparekey role grant 'help desk' carol --domain Sales
sparekey role add 'night desk' user.view token.view emergency.view emergency.tokencode-show
sparekey role grant 'night desk' --client portal --domain Sales
sparekey role show 'help desk'                    # what it allows, and who holds it where
```

- **What lies outside every domain of an administrator does not exist** for them, in the same words as what is not there
  at all. Who sees something but may not do it is told which permission is missing.
- **Nobody gives rights that they do not have**: neither by a grant nor by a change of a role. Roles of your own are the
  same in all domains, so that they are made and changed at the top; the predefined ones stay as they are.
- **Nobody changes somebody with more rights**: neither the account nor its tokens, PINs, codes and roles, nor an API
  client with more rights.
- **Nobody gains rights by moving** a user or a domain to where they have more.
- **There always is a super administrator who can sign in**: enabled, not expired, with a passkey, or a token with a PIN
  that is enabled and not expired, and the role at the top domain. Once there is one, neither a revoked role, nor a
  disabled user, nor an end of an account, nor a token that is disabled, unassigned or removed, nor a removed passkey
  may leave the server without, nor leave only accounts that have an end. Root on the server is refused like everybody
  else: make another one first. (A token may always be marked lost, and a device reported stolen.)
- **Administrators sign in with two factors**: a PIN before the code, or a passkey. A token without a PIN opens no door
  of administrators. The first one, or one who has lost every other way, comes in by `sparekey admin link`.
- What belongs to no domain (policies, roles, instances) needs the permission at the top domain.

`--data` on the server acts as root (`os:NAME` on record), who may do everything else that is listed here.

| Permission |"""


_REST = """# REST for administration

Written from `src/sparekey/app/rest/registry.py` by `python -m tools.documents`; a test keeps it true.

What `sparekey` does on the server can be done over REST, with the same rights and the same words. The server describes
every request and every answer at `/openapi.json`.

A program that only asks whether a passcode is right has the key of an API client (`sparekey client add`), without a
role. Asking uses the passcode up; `result` is `granted`, `denied` or `ask` ([tokens.md](tokens.md)):

```
curl --cacert ca.pem -H 'Authorization: Bearer spk_...' https://login.example.org:8443/v1/sign-ins \\
  --json '{"user": "alice", "passcode": "4711abcd123456"}'
{"result": "granted", "user": "alice", "method": "tokencode", ...}
```

The command line does the same from another computer:

```
sparekey login --server https://login.example.org:8443 --as carol --ca ca.pem     # asks for the passcode
sparekey user list --server https://login.example.org:8443 --as carol
sparekey logout --server https://login.example.org:8443 --as carol
```

`SPAREKEY_SERVER`, `SPAREKEY_AS` and `SPAREKEY_SERVER_CA` save the typing. `ca.pem` is a copy of `DIR/keys/ca.pem` on
the server; what is given at the login is kept with the session, in a file below `$XDG_STATE_HOME/sparekey` that nobody
else can read. `init`, `serve`, `config`, `doctor`, `upgrade`, `audit verify` and `audit chain` work on the server
itself.

## Signing in

```
curl --cacert ca.pem https://login.example.org:8443/v1/sessions \\
  --json '{"user": "carol", "passcode": "4711abcd123456"}'
{"result": "granted", "misread": [], "session": "sps_...", "expires_at": 1800100800, ...}

curl --cacert ca.pem -H 'Authorization: Bearer sps_...' 'https://login.example.org:8443/v1/users?limit=100'
{"items": [{"login": "alice", ...}], "next": "alice"}
```

- **A session** is for a user who holds a role ([roles.md](roles.md)); for everybody else no guess is judged, and none
  is counted. `result` is `granted`, `denied`, or `ask`: then the answer to `text` goes to the same path as `passcode`,
  with the `reply_to` that came with the question, once, within two minutes, from the same address.
- It ends 15 minutes after it was last used, 12 hours after it began, with `DELETE /v1/sessions`, and at once when the
  user is disabled, locked, expired or without a role, when a PIN of theirs is changed, and when a token of theirs is
  lost, disabled or taken away. The session's token is shown once; the server keeps a hash.
- **What is dangerous** needs a passcode that is not older than ten minutes, else the answer is 403
  `second-factor-needed`: `POST /v1/sessions/second-factor` with `{"passcode": ...}`, or log in again.
- **An API client** (`sparekey client add`) sends its key in the place of the token. With a role it may do what the role
  allows, within its own scope and from its own addresses. It has no second factor, so that nobody asks it for one:
  grant it no more than it needs, and bind it to addresses.

## Requests and answers

- Names in a path are percent-encoded (`Sales%2FBern`). `GET` takes the other members from the query, everything else
  from a JSON object; what is unknown, doubled or of another type is refused. Times are unix seconds, bytes are hex.
- **Lists** hold `items`; where there is `next` and it is not null, the next page is the same request with `after` (of
  the record: `before`) set to it. `limit` is at most 10,000. Grants and operators are listed up to 1,000: `cut` says
  that there are more.
- Where nothing is to be said the answer is 204. An answer may hold a secret that is shown once; none may be cached.
- **Confirmations**: a change of policies that would discard data gets 403 `confirmation-needed`, and does nothing.
  The message says which data, of how many users on how many devices. Send it again with `"confirmed": true`.
- **Errors** are `{error, message, do}`: a word for programs, what is wrong, what to do. 400 not as described, or a
  value that is not allowed; 401 unknown; 403 a permission, a rule or a second factor is missing; 404 not there, or
  outside every domain of who asks; 409 something else stands in the way; 413 too large; 429 and 503: later.
- Every change is on record under `user:ID` or `client:ID`.

## Operations

*Fresh*: needs a second factor that is not older than ten minutes.

| Request | Permission | Fresh | What it does |
|---|---|---|---|
"""


def documents() -> Mapping[Path, str]:
    """Path from the root, and what belongs there."""
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
    """The merge rule, with what is stricter where that is asked."""
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
