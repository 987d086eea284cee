"""`sparekey policy`: offline policies, and what is in force for one user on one device."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sparekey.app import policies
from sparekey.app.policies import PolicyView
from sparekey.cli.server.command import call_of, command, new_group, now, open_server
from sparekey.core.policy import FIELDS, OfflinePolicy

app = new_group("Offline policies, and what is in force for a user.")
offline = new_group("Offline policies.")
app.add_typer(offline, name="offline")

Name = Annotated[str, typer.Argument(metavar="POLICY", help="The policy's name.")]
Fields = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FIELD=VALUE]...", help="See `sparekey policy offline fields`.", show_default=False),
]


@command(offline, "add", "policy offline add Travel days=30 protection_level=strong")
def add(ctx: typer.Context, name: Name, fields: Fields = None) -> None:
    """Add a policy: the defaults, but for the fields that are given."""
    call = call_of(ctx)
    with open_server(call) as instance:
        view = policies.add_policy(instance, call.actor, name, _texts(fields), now=now())
    call.done(f"Added the offline policy {name}.", "policy", **_members(view))


@command(offline, "list", "policy offline list")
def list_all(ctx: typer.Context) -> None:
    """List all policies."""
    call = call_of(ctx)
    with open_server(call) as instance:
        views = policies.list_policies(instance)
    rows = [
        {"name": view.name, "default": view.is_default, "revision": view.revision, "enabled": view.policy.enabled,
         "days": view.policy.days, "protection_level": view.policy.protection_level.value}
        for view in views
    ]  # fmt: skip
    call.put_list("policies", rows, ["name", "default", "revision", "enabled", "days", "protection_level"])


@command(offline, "show", "policy offline show Default")
def show(ctx: typer.Context, name: Name) -> None:
    """Show every field of a policy."""
    call = call_of(ctx)
    with open_server(call) as instance:
        view = policies.show_policy(instance, name)
    call.put("policy", _members(view) if call.json else _members(view) | _members(view)["fields"] | {"fields": "below"})


@command(offline, "set", "policy offline set Default days=7 --confirm")
def set_fields(
    ctx: typer.Context,
    name: Name,
    fields: Fields = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Go on although data on devices are discarded at once.")
    ] = False,
) -> None:
    """Edit fields. What makes a policy stricter discards data on devices, and asks for --confirm if there are any."""
    texts = _texts(fields)
    if not texts:
        raise typer.BadParameter("say which fields to set, as FIELD=VALUE")
    call = call_of(ctx)
    with open_server(call) as instance:
        edit = policies.set_fields(instance, call.actor, name, texts, confirmed=confirm, now=now())
    made_anew = f" Offline data of {edit.regenerated} users on devices are made anew." if edit.regenerated else ""
    members = _members(edit.view) | {"tightened": list(edit.tightened), "regenerated": edit.regenerated}
    call.done(f"Set {', '.join(texts)} of the offline policy {name}.{made_anew}", "policy", **members)


@command(offline, "assign", "policy offline assign Travel --domain Sales")
def assign(
    ctx: typer.Context,
    domain: Annotated[str, typer.Option(help="The security domain.")],
    name: Annotated[str | None, typer.Argument(metavar="POLICY", help="The policy's name.", show_default=False)] = None,
    default: Annotated[bool, typer.Option("--default", help="Always use the default policy, whichever it is.")] = False,
) -> None:
    """Put the users and devices of a domain under a policy."""
    if default is (name is not None):
        raise typer.BadParameter("give either the name of a policy or --default")
    call = call_of(ctx)
    with open_server(call) as instance:
        policies.assign_policy(instance, call.actor, name, domain, now=now())
    call.done(f"{domain} uses {name or 'the default policy'}.", "assignment", domain=domain, policy=name)


@command(offline, "remove", "policy offline remove Travel")
def remove(ctx: typer.Context, name: Name) -> None:
    """Remove a policy; its domains go back to the default."""
    call = call_of(ctx)
    with open_server(call) as instance:
        policies.remove_policy(instance, call.actor, name, now=now())
    call.done(f"Removed the offline policy {name}.", "policy", name=name)


@command(offline, "fields", "policy offline fields")
def fields_of_a_policy(ctx: typer.Context) -> None:
    """List the fields with what is allowed, the default and the meaning."""
    rows = [
        {"field": name, "allowed": field.allowed, "default": _text(field.default), "unit": field.unit,
         "merge": field.merge.value, "meaning": field.meaning}
        for name, field in FIELDS.items()
    ]  # fmt: skip
    call_of(ctx).put_list("fields", rows, ["field", "allowed", "default", "unit", "meaning"])


@command(app, "effective", "policy effective alice --device laptop")
def effective(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's login name.")],
    device: Annotated[
        str | None, typer.Option(help="Name or id; without: a device of the user's own domain.", show_default=False)
    ] = None,
) -> None:
    """Show what is in force for a user on a device. Beside each value stands where it comes from."""
    call = call_of(ctx)
    with open_server(call) as instance:
        merged = policies.effective_of(instance, user, device)
    values = _values(merged.values)
    rows = [{"field": name, "value": values[name], "source": merged.sources[name]} for name in FIELDS]
    shown = rows if call.json else [row | {"value": _text(row["value"])} for row in rows]
    call.put_list("effective", shown, ["field", "value", "source"])


def _texts(fields: list[str] | None) -> Mapping[str, str]:
    texts = {}
    for each in fields or ():
        name, sign, value = each.partition("=")
        if not sign or name in texts:
            raise typer.BadParameter(f"{each!r} is no FIELD=VALUE, or the field is given twice")
        texts[name] = value
    return texts


def _members(view: PolicyView) -> dict[str, Any]:
    return {
        "name": view.name,
        "default": view.is_default,
        "revision": view.revision,
        "fields": _values(view.policy),
    }


def _values(policy: OfflinePolicy) -> dict[str, Any]:
    values = {name: getattr(policy, name) for name in FIELDS}
    return {name: str(value) if isinstance(value, str) else value for name, value in values.items()}


def _text(value: object) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
