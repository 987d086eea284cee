"""The page "Can this user sign in?": every rule, online and on each device, and what to do about it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final
from urllib.parse import quote

from sparekey.app.reports import why
from sparekey.core.explain.online import Deed, Line, RuleResult, Side
from sparekey.core.permissions import Permission
from sparekey.core.policy.offline import FIELDS
from sparekey.server.console.people.users import address_of
from sparekey.server.console.policies.words import FieldRow
from sparekey.server.web import words
from sparekey.server.web.page_results import Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/users")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d) UTC")  # the format of core.explain.online
_POLICY: Final = "policy "  # rules that only repeat the policy begin with this
# The remedy, the permission for it, and the address of its page; {} is the user, token or device.
_DEEDS: Final[Mapping[Deed, tuple[str, Permission, str]]] = {
    Deed.ENABLE_USER: ("Enable the user", Permission.USER_EDIT, "/console/users/{}"),
    Deed.CHANGE_END: ("Change the expiry of the account", Permission.USER_EDIT, "/console/users/{}/edit"),
    Deed.UNLOCK_USER: ("Unlock the user", Permission.USER_UNLOCK, "/console/users/{}"),
    Deed.GIVE_TOKEN: ("Add a token for the user", Permission.TOKEN_ASSIGN, "/console/new-token?user={}"),
    Deed.ENABLE_TOKEN: ("Enable the token", Permission.TOKEN_EDIT, "/console/tokens/{}"),
    Deed.REPLACE_TOKEN: ("Replace the token", Permission.TOKEN_ASSIGN, "/console/tokens/{}?do=replace#replace"),
    Deed.FIND_TOKEN: ("Mark the token as found", Permission.TOKEN_EDIT, "/console/tokens/{}"),
    Deed.END_TEMPORARY: ("End the temporary access", Permission.EMERGENCY_TEMPORARY, "/console/tokens/{}/emergency"),
    Deed.SET_PIN: ("Set a PIN", Permission.PIN_SET, "/console/tokens/{}?do=pin#pin"),
    Deed.CHANGE_POLICY: ("Change the policy", Permission.POLICY_MANAGE, "/console/policies"),
    Deed.INVITE_DEVICE: ("Enrol the device again", Permission.DEVICE_INVITE, "/console/devices:invite"),
}
# Remedies whose permission is not needed in the domain of the user, but in all domains ("") or in any (None).
_WHERE: Final[Mapping[Deed, str | None]] = {Deed.CHANGE_POLICY: "", Deed.INVITE_DEVICE: None}


@dataclass(frozen=True)
class Mend:
    """One remedy; `to` is "" if it has no page, or the visitor may not use it."""

    words: str
    to: str = ""


@dataclass(frozen=True)
class Rule:
    line: Line
    mends: tuple[Mend, ...] = ()


@dataclass(frozen=True)
class Part:
    """The result for online sign-in or for one device: the conclusion, the rules, and the policy there."""

    conclusion: Rule
    rules: tuple[Rule, ...]
    policy: tuple[tuple[FieldRow, str], ...]  # each field with the source of its value

    @property
    def online(self) -> bool:
        return self.conclusion.line.side is Side.ONLINE


@pages.get("/{login}/why", Permission.USER_VIEW)
def explain(visit: Visit) -> Reply:
    """Return every rule."""
    found = why.explain(visit.instance, visit.actor, visit.path["login"], visit.query.get("device"), now=visit.now)
    parts = parts_of(visit, found.lines, found.domain)
    return visit.show("users/why.html", login=found.login, here=address_of(found.login), parts_of=parts)


def parts_of(visit: Visit, lines: Sequence[Line], domain: str) -> list[Part]:
    """Return the parts, each with its conclusion first; `domain`: the domain of the user."""
    parts: list[list[Line]] = []
    for line in lines:
        if line.rule == "sign-in":
            parts.append([])
        parts[-1].append(replace(line, why=in_zone(line.why, visit.zone)))
    return [_part(visit, part, domain) for part in parts]


def _part(visit: Visit, lines: Sequence[Line], domain: str) -> Part:
    rules = [Rule(line, _mends(visit, line, domain)) for line in lines if not line.rule.startswith(_POLICY)]
    order = {RuleResult.STOPS: 0, RuleResult.ASKS: 1, RuleResult.WAITS: 1, RuleResult.OK: 2, RuleResult.OFF: 3}
    rest = sorted(rules[1:], key=lambda rule: order[rule.line.verdict])
    policy = (line for line in lines if line.rule.startswith(_POLICY))
    return Part(rules[0], tuple(rest), tuple((_field(line), line.source) for line in policy))


def _field(line: Line) -> FieldRow:
    field = FIELDS[line.rule.removeprefix(_POLICY)]
    return FieldRow(field, field.typed(field.parse(line.why)), line.why)


def _mends(visit: Visit, line: Line, domain: str) -> tuple[Mend, ...]:
    if not line.deeds:
        return (Mend(words.sentence(line.mend)),) if line.mend else ()
    found = []
    for deed in line.deeds:
        said, permission, to = _DEEDS[deed]
        may = visit.may(permission, _WHERE.get(deed, domain))
        found.append(Mend(said, to.format(quote(line.name, safe="")) if may else ""))
    return tuple(found)


def in_zone(text: str, zone: tzinfo) -> str:
    """Return the text with its times in the visitor's time zone."""

    def local(found: re.Match[str]) -> str:
        at = datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        return words.moment(int(at.timestamp()), zone)

    return _MOMENT.sub(local, text)
