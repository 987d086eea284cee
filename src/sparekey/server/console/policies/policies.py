"""Authentication > Policies: their fields, the cost of breaking a stolen laptop, and a preview before each change."""

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from sparekey.app.policies import policies
from sparekey.app.policies import previews as policy_previews
from sparekey.app.policies.previews import Preview, cost_between
from sparekey.core.errors import NotFound
from sparekey.core.permissions import Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.server.console.policies import words as policy_words
from sparekey.server.settings import Settings
from sparekey.server.web.fields import Fields
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

LIST: Final = "/console/policies"
pages = Pages(LIST)
_PAGE: Final = 50
_KINDS: Final = {kind.value: kind for kind in PolicyKind}


@pages.get("", Permission.POLICY_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the list (Manage Existing), of offline policies unless another kind is chosen."""
    kind = _kind(visit)
    found = policies.list_policies(visit.instance, visit.actor, kind, _PAGE + 1, visit.query.get("after", ""))
    places = policies.places_of(visit.instance, visit.actor, kind)
    columns = [kind.fields[name] for name in policy_words.COLUMNS[kind]]
    shown = found[:_PAGE]
    return visit.show(
        "policies/manage.html",
        kind=kind,
        kinds=policy_words.KINDS,
        purpose=policy_words.PURPOSES[kind],
        rows=[(view, policy_words.rows_of(kind, view.values)) for view in shown],
        places=places,
        columns=[(field.name, policy_words.label_of(field.name)) for field in columns],
        next=shown[-1].name if len(found) > _PAGE else None,
    )


@pages.get(":effective", Permission.USER_VIEW)
def effective(visit: Visit) -> Reply:
    """Return the effective policy of a user on a device, with the source of each value."""
    login, device = visit.query.text("user", "User name"), visit.query.text("device", "Device")
    given: dict[str, Any] = {"login": login, "device": device, "found": None, "groups": [], "cost": None, "others": []}
    if not login:
        return visit.show("policies/effective.html", **given)
    found = policies.in_force_for(visit.instance, visit.actor, login, device or None)
    offline = found.offline.values
    tokens = found.others.get(PolicyKind.TOKEN)
    given |= {
        "found": found,
        "groups": _groups(PolicyKind.OFFLINE, vars(offline)),
        "others": [
            (policy_words.KINDS[kind], each, _groups(kind, vars(each.policy))) for kind, each in found.others.items()
        ],
        "cost": cost_between(offline, tokens.policy, ("", tokens.name)) if tokens else None,  # type: ignore[arg-type]
    }
    return visit.show("policies/effective.html", **given)


@pages.get("/{kind}:add", Permission.POLICY_MANAGE)
def new(visit: Visit) -> Reply:
    kind = _kind(visit)
    values = {name: field.default for name, field in kind.fields.items()}
    return _form(visit, kind, "", values, 0)


@pages.post("/{kind}:add", Permission.POLICY_MANAGE, again=new, fresh=True)
def add(visit: Visit) -> Reply:
    kind, name = _kind(visit), visit.form.text("name", "Name", needed=True)
    typed = policy_words.read_fields(kind, visit.form)
    given = {each: text for each, text in typed.items() if text != _default(kind, each)}
    policies.add_policy(visit.instance, visit.actor, kind, name, given, now=visit.now)
    return Redirect(address_of(kind, name), f"{name} was added. Assign it to a domain to use it.")


@pages.get("/{kind}:cost", Permission.POLICY_VIEW, whole=False)
def cost(visit: Visit) -> Reply:
    """Return the cost of an attack while the form is being filled in: a part of a page."""
    kind, name = _kind(visit), visit.query.text("policy")
    typed = policy_words.read_fields(kind, visit.query)
    found = policy_previews.cost_of(visit.instance, visit.actor, kind, name or None, typed)
    return visit.show("policies/cost.html", cost=found)


@pages.get("/{kind}", Permission.POLICY_VIEW)
def manage_kind(visit: Visit) -> Reply:
    return manage(visit)


@pages.get("/{kind}/{name}", Permission.POLICY_VIEW)
def show(visit: Visit) -> Reply:
    kind, name = _kind(visit), visit.path["name"]
    view = policies.show_policy(visit.instance, visit.actor, kind, name)
    places = policies.places_of(visit.instance, visit.actor, kind).get(name, [])
    found = policy_previews.cost_of(visit.instance, visit.actor, kind, name)
    return visit.show(
        "policies/show.html",
        kind=kind,
        title=policy_words.KINDS[kind],
        view=view,
        places=places,
        cost=found,
        groups=_groups(kind, view.values),
        here=address_of(kind, name),
    )


@pages.get("/{kind}/{name}/edit", Permission.POLICY_MANAGE)
def edit(visit: Visit) -> Reply:
    kind, name = _kind(visit), visit.path["name"]
    view = policies.show_policy(visit.instance, visit.actor, kind, name)
    return _form(visit, kind, name, view.values, view.revision)


@pages.post("/{kind}/{name}/edit", Permission.POLICY_MANAGE, again=edit, fresh=True)
def save(visit: Visit) -> Reply:
    """Save a policy. If that discards or renews data, first show the numbers and ask to confirm."""
    kind, name = _kind(visit), visit.path["name"]
    typed = policy_words.read_fields(kind, visit.form)
    preview = policy_previews.preview_edit(visit.instance, visit.actor, kind, name, typed, now=visit.now)
    confirmed = visit.form.flag("confirmed")
    if not preview.changes:
        return Redirect(address_of(kind, name), "Nothing was changed.")
    if not confirmed and (preview.discards or preview.too_short or preview.touches_devices):
        return _ask(visit, kind, name, preview)
    revision = visit.form.number("revision", "Revision", 0, 2**31, 0) or None
    changed = {change.field: typed[change.field] for change in preview.changes}
    policies.set_fields(
        visit.instance, visit.actor, kind, name, changed, confirmed=confirmed, revision=revision, now=visit.now
    )
    return Redirect(address_of(kind, name), f"{name} was saved.")


@pages.get("/{kind}/{name}/remove", Permission.POLICY_MANAGE)
def before_remove(visit: Visit) -> Reply:
    kind, name = _kind(visit), visit.path["name"]
    preview = policy_previews.preview_removal(visit.instance, visit.actor, kind, name, now=visit.now)
    places = policies.places_of(visit.instance, visit.actor, kind).get(name, [])
    return visit.show("policies/remove.html", places=places, **_before(visit, kind, name, preview))


@pages.post("/{kind}/{name}/remove", Permission.POLICY_MANAGE, again=before_remove, fresh=True)
def remove(visit: Visit) -> Reply:
    kind, name = _kind(visit), visit.path["name"]
    policies.remove_policy(
        visit.instance, visit.actor, kind, name, confirmed=visit.form.flag("confirmed"), now=visit.now
    )
    return Redirect(f"{LIST}/{kind}", f"{name} was removed. Its domains now use the default policy.")


@pages.get("/{kind}/{name}/default", Permission.POLICY_MANAGE)
def before_default(visit: Visit) -> Reply:
    kind, name = _kind(visit), visit.path["name"]
    preview = policy_previews.preview_default(visit.instance, visit.actor, kind, name, now=visit.now)
    found = policies.list_policies(visit.instance, visit.actor, kind)
    before = next((view.name for view in found if view.is_default), "")
    return visit.show("policies/default.html", before=before, **_before(visit, kind, name, preview))


@pages.post("/{kind}/{name}/default", Permission.POLICY_MANAGE, again=before_default, fresh=True)
def make_default(visit: Visit) -> Reply:
    kind, name = _kind(visit), visit.path["name"]
    policies.make_default(
        visit.instance, visit.actor, kind, name, confirmed=visit.form.flag("confirmed"), now=visit.now
    )
    return Redirect(address_of(kind, name), f"{name} is the default now.")


def address_of(kind: PolicyKind, name: str) -> str:
    """Return the address of a policy's page."""
    return f"{LIST}/{kind}/{quote(name, safe='')}"


def cores_of(settings: Settings) -> int:
    """Return the number of cores of this machine that seal offline data."""
    here = os.cpu_count() or 1
    return min(here, settings.workers * (settings.sealing_workers or here))


def _kind(visit: Visit) -> PolicyKind:
    name = visit.path.get("kind", PolicyKind.OFFLINE.value)
    if name not in _KINDS:
        raise NotFound(f"there is no kind of policy {name!r}", "choose one from the list")
    return _KINDS[name]


def _default(kind: PolicyKind, name: str) -> str:
    return policy_words.text_of(kind.fields[name], kind.fields[name].default)


def _groups(kind: PolicyKind, values: Mapping[str, bool | int | str]) -> list[tuple[str, list[policy_words.FieldRow]]]:
    return policy_words.groups_of(kind, policy_words.rows_of(kind, values))


def _form(visit: Visit, kind: PolicyKind, name: str, values: Mapping[str, bool | int | str], revision: int) -> Reply:
    typed: Fields | None = visit.form if visit.error is not None else None
    rows = policy_words.rows_of(kind, values, typed)
    found = policy_previews.cost_of(visit.instance, visit.actor, kind, name or None)
    return visit.show(
        "policies/form.html",
        kind=kind,
        title=policy_words.KINDS[kind],
        name=name,
        revision=revision,
        cost=found,
        groups=policy_words.groups_of(kind, rows),
        here=address_of(kind, name) if name else f"{LIST}/{kind}",
    )


def _ask(visit: Visit, kind: PolicyKind, name: str, preview: Preview) -> Reply:
    kept = [pair for pair in visit.form.pairs if pair[0] in kind.fields or pair[0] == "revision"]
    changes = [
        (
            policy_words.label_of(change.field),
            policy_words.in_words(kind.fields[change.field], change.before),
            policy_words.in_words(kind.fields[change.field], change.after),
            change.field in preview.tightened,
        )
        for change in preview.changes
    ]
    return visit.show("policies/confirm.html", kept=kept, changes=changes, **_before(visit, kind, name, preview))


def _before(visit: Visit, kind: PolicyKind, name: str, preview: Preview) -> dict[str, Any]:
    """Return the values of the preview page, the same for every kind of change."""
    return {
        "kind": kind,
        "name": name,
        "preview": preview,
        "here": address_of(kind, name),
        "stricter": [policy_words.label_of(field) for field in preview.tightened],
        "cores": cores_of(visit.settings),
        "hours": _hours(visit, preview),
    }


def _hours(visit: Visit, preview: Preview) -> float:
    """Return the seconds that the server needs to renew data."""
    return preview.renewal.core_seconds / cores_of(visit.settings) if preview.renewal else 0.0
