"""`sparekey policy`: policies of each kind, and the effective policy of a user on a device."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Final, TypeVar

import typer

from sparekey.app.policies import policies
from sparekey.app.policies.policies import PolicyView
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server
from sparekey.core.errors import ConfirmationNeeded
from sparekey.core.plurals import counted
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.offline import FIELDS

app = new_group("Policies of each kind, and the effective policy of a user.")

Name = Annotated[str, typer.Argument(metavar="POLICY", help="The policy's name.")]
Fields = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FIELD=VALUE]...", help="See `fields` of this kind of policy.", show_default=False),
]
Yes = Annotated[bool, typer.Option("--yes", help="Discard data on devices without asking first.")]
YesOrConfirm = Annotated[bool, typer.Option("--yes", "--confirm", help="Discard data on devices without asking first.")]
Domain = Annotated[str, typer.Option(help="The security domain.")]
AnyName = Annotated[str | None, typer.Argument(metavar="POLICY", help="The policy's name.", show_default=False)]
ToDefault = Annotated[bool, typer.Option("--default", help="Use the default policy.")]

R = TypeVar("R")
_EFFECTIVE: Final = ("field", "value", "source")
# for each kind: its purpose, an example of a field, and the fields of a list
_KINDS: Final[Mapping[PolicyKind, tuple[str, str, tuple[str, ...]]]] = {
    PolicyKind.OFFLINE: (
        "Offline policies: offline data of devices, and their lifetime.",
        "days=7",
        ("enabled", "days", "protection_level"),
    ),
    PolicyKind.TOKEN: (
        "Token policies: rules for PINs and tokencodes.",
        "pin_minimum=6",
        ("pin_minimum", "pin_maximum", "pin_characters", "next_tokencode_after"),
    ),
    PolicyKind.LOCKOUT: (
        "Lockout policies: the number of failures that lock a user, and the time.",
        "most_failures=3",
        ("most_failures", "within_minutes", "unlock_after_minutes"),
    ),
}


def _add_kind(kind: PolicyKind) -> None:
    """Add the commands of one kind of policy."""
    words, example, columns = _KINDS[kind]
    group = new_group(words)
    app.add_typer(group, name=kind.value)

    _add_reading(kind, group, columns)
    _add_changing(kind, group, example)


def _add_reading(kind: PolicyKind, group: typer.Typer, columns: tuple[str, ...]) -> None:
    @command(group, "list", f"policy {kind} list")
    def list_all(ctx: typer.Context) -> None:
        """List all policies of this kind."""
        call = call_of(ctx)
        with open_server(call) as server:
            views = server.run(policies.list_policies, kind)
        rows = [
            {"name": view.name, "default": view.is_default, "revision": view.revision}
            | {name: value for name, value in _plain(view.values).items() if name in columns}
            for view in views
        ]
        call.put_list("policies", rows, ["name", "default", "revision", *columns])

    @command(group, "show", f"policy {kind} show Default")
    def show(ctx: typer.Context, name: Name) -> None:
        """Show every field of a policy."""
        call = call_of(ctx)
        with open_server(call) as server:
            view = server.run(policies.show_policy, kind, name)
        if call.json:
            output.put_json("policy", _members(view))
            return
        output.put_members(_heading(view))
        print()
        rows = [{"field": field, "value": _text(value)} for field, value in _plain(view.values).items()]
        output.put_table(rows, _EFFECTIVE[:2])

    @command(group, "fields", f"policy {kind} fields")
    def fields_of_a_policy(ctx: typer.Context) -> None:
        """List the fields, with allowed values, default and meaning."""
        rows = [
            {
                "field": name,
                "allowed": field.allowed,
                "default": _text(field.default),
                "unit": field.unit,
                "merge": field.merge.value,
                "effect": field.effect.value,
                "meaning": field.meaning,
            }
            for name, field in kind.fields.items()
        ]
        call_of(ctx).put_list("fields", rows, ["field", "allowed", "default", "unit", "effect", "meaning"])


def _add_changing(kind: PolicyKind, group: typer.Typer, example: str) -> None:
    @command(group, "add", f"policy {kind} add Travel {example}")
    def add(ctx: typer.Context, name: Name, fields: Fields = None) -> None:
        """Add a policy. Fields that you leave out have their defaults."""
        call = call_of(ctx)
        with open_server(call) as server:
            view = server.run(policies.add_policy, kind, name, _texts(fields), now=now())
        call.done(f"Added the {kind} policy {name}.", "policy", **_members(view))

    @command(group, "set", f"policy {kind} set Default {example}")
    def set_fields(ctx: typer.Context, name: Name, fields: Fields = None, yes: YesOrConfirm = False) -> None:
        """Edit fields. The command asks first if that discards data; `fields` shows the effect of each."""
        texts = _texts(fields)
        if not texts:
            raise typer.BadParameter("pass the fields to set as FIELD=VALUE")
        call = call_of(ctx)
        with open_server(call) as server:
            edit = _confirmed(
                lambda sure: server.run(policies.set_fields, kind, name, texts, confirmed=sure, now=now()), yes
            )
        renewed = ""
        if edit.regenerated:
            renewed = f" The devices of {counted(edit.regenerated, 'user')} get new offline data."
        members = _members(edit.view) | {"tightened": list(edit.tightened), "regenerated": edit.regenerated}
        call.done(f"Set {', '.join(texts)} of the {kind} policy {name}.{renewed}", "policy", **members)

    @command(group, "assign", f"policy {kind} assign Travel --domain Sales")
    def assign(
        ctx: typer.Context, domain: Domain, name: AnyName = None, default: ToDefault = False, yes: Yes = False
    ) -> None:
        """Assign a policy to a domain's users and devices. The command asks first if that discards data."""
        if default is (name is not None):
            raise typer.BadParameter("pass either the name of a policy or --default")
        call = call_of(ctx)
        with open_server(call) as server:
            _confirmed(
                lambda sure: server.run(policies.assign_policy, kind, name, domain, confirmed=sure, now=now()), yes
            )
        call.done(f"{domain} uses {name or f'the default {kind} policy'}.", "assignment", domain=domain, policy=name)

    @command(group, "remove", f"policy {kind} remove Travel")
    def remove(ctx: typer.Context, name: Name, yes: Yes = False) -> None:
        """Remove a policy. Its domains use the default again. The command asks first if that discards data."""
        call = call_of(ctx)
        with open_server(call) as server:
            _confirmed(lambda sure: server.run(policies.remove_policy, kind, name, confirmed=sure, now=now()), yes)
        call.done(f"Removed the {kind} policy {name}.", "policy", name=name)

    @command(group, "default", f"policy {kind} default Travel")
    def make_default(ctx: typer.Context, name: Name, yes: Yes = False) -> None:
        """Make a policy the default of its kind. The command asks first if that discards data."""
        call = call_of(ctx)
        with open_server(call) as server:
            _confirmed(lambda sure: server.run(policies.make_default, kind, name, confirmed=sure, now=now()), yes)
        call.done(f"{name} is the default {kind} policy.", "policy", name=name)


for _kind in PolicyKind:
    _add_kind(_kind)


@command(app, "effective", "policy effective alice --device laptop")
def effective(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's login name.")],
    device: Annotated[
        str | None, typer.Option(help="Name or id. [a device of the user's own domain]", show_default=False)
    ] = None,
) -> None:
    """Show the effective policy of a user on a device, with the source of each value."""
    call = call_of(ctx)
    with open_server(call) as server:
        merged = server.run(policies.effective_of, user, device)
    values = _plain(dataclasses.asdict(merged.values))
    rows = [{"field": name, "value": values[name], "source": merged.sources[name]} for name in FIELDS]
    shown = rows if call.json else [row | {"value": _text(row["value"])} for row in rows]
    call.put_list("effective", shown, _EFFECTIVE)


def _confirmed(run: Callable[[bool], R], yes: bool) -> R:
    """Run the use case, confirmed if `yes`. If it needs a confirmation, ask at a terminal, and run it again.

    Raises ConfirmationNeeded if there is no terminal.
    """
    try:
        return run(yes)
    except ConfirmationNeeded as needed:
        if not sys.stdin.isatty():
            raise
        output.say(needed.message)
        typer.confirm("Continue?", abort=True, err=True)
    return run(True)


def _texts(fields: list[str] | None) -> Mapping[str, str]:
    texts = {}
    for field in fields or ():
        name, sign, value = field.partition("=")
        if not sign or name in texts:
            raise typer.BadParameter(f"{field!r} is not FIELD=VALUE, or the field appears twice")
        texts[name] = value
    return texts


def _members(view: PolicyView) -> dict[str, object]:
    return _heading(view) | {"fields": _plain(view.values)}


def _heading(view: PolicyView) -> dict[str, object]:
    return {"name": view.name, "default": view.is_default, "revision": view.revision}


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {name: str(value) if isinstance(value, str) else value for name, value in values.items()}


def _text(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
