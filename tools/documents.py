"""Documents that are written from the source: `python -m tools.documents` writes docs/settings.md, docs/policy.md and
docs/roles.md.

Rules: they are derived from the dataclasses that are enforced, and a house test compares.
"""

from collections.abc import Mapping
from pathlib import Path

from sparekey.core.permissions import PREDEFINED, Permission
from sparekey.core.policy import FIELDS
from sparekey.core.policy_fields import PolicyField
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

_POLICY = """# Offline policy

Written from `src/sparekey/core/policy.py` by `python -m tools.documents`; a test keeps it true.

An offline policy is stored under a name and assigned to security domains; one is the default. What is in force for one
user on one device results from the policy of the user's domain and that of the device's domain, field by field;
`sparekey policy effective USER --device NAME` shows each value with where it came from. The column
*sealed in* says where a value is laid down on devices, and so what an edit makes anew.

| Field | Default | Allowed | Which of two values is in force | Sealed in | Meaning |
|---|---|---|---|---|---|
"""

_ROLES = """# Roles

Written from `src/sparekey/core/permissions.py` by `python -m tools.documents`; a test keeps it true.

A role is a set of permissions. Granted to a user or an API client in a security domain, it holds in that domain and in
everything below it, also in what is added or moved there later. Who holds several roles has the rights of all of them.

```
sparekey role grant 'help desk' carol --domain Sales
sparekey role add 'night desk' user.view token.view emergency.view emergency.tokencode-show
sparekey role grant 'night desk' --client portal --domain Sales
sparekey role show 'help desk'                    # what it allows, and who holds it where
```

- **What lies outside every domain of an administrator does not exist** for them, in the same words as what is not there
  at all. Who sees something but may not do it is told which permission is missing.
- **Nobody gives rights that they do not have**: neither by a grant nor by a change of a role. Roles of your own are the
  same in all domains, so that they are made and changed at the top; the predefined ones stay as they are.
- **Nobody changes somebody with more rights**: neither the account nor its tokens, PINs, codes and roles.
- **Nobody gains rights by moving** a user or a domain to where they have more.
- **There always is a super administrator who can sign in**: enabled, not expired, with a token that is enabled and not
  expired, and the role at the top domain. Once there is one, neither a revoked role nor a disabled user nor an end of
  an account may leave the server without, nor leave only accounts that have an end. Root on the server is refused like
  everybody else: make another one first.
- What belongs to no domain (policies, roles, instances) needs the permission at the top domain.

`--data` on the server acts as root (`os:NAME` on record), who may do everything else that is listed here.

| Permission |"""


def documents() -> Mapping[Path, str]:
    """Path from the root, and what belongs there."""
    return {Path("docs/settings.md"): _settings(), Path("docs/policy.md"): _policy(), Path("docs/roles.md"): _roles()}


def _settings() -> str:
    rows = [
        (f"`{name}`", f"`{each.variable}`", _shown(each.default), each.allowed, each.meaning)
        for name, each in SETTINGS.items()
    ]
    return _SETTINGS + "".join(map(_row, rows))


def _policy() -> str:
    rows = [
        (f"`{name}`", _shown(each.default), _allowed(each), _merged(each), each.sealed_in.value, each.meaning)
        for name, each in FIELDS.items()
    ]
    return _POLICY + "".join(map(_row, rows))


def _roles() -> str:
    head = "".join(f" {role} |" for role in PREDEFINED) + "\n|---|" + "---|" * len(PREDEFINED) + "\n"
    rows = [
        (f"`{each}`", *("yes" if each in permissions else "" for permissions in PREDEFINED.values()))
        for each in Permission
    ]  # fmt: skip
    return _ROLES + head + "".join(map(_row, rows))


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
