"""The report of a device as text: who can sign in, until when, and what to do next."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sparekey.cli.agent.output import HOW_AFTER_REVOKING, at
from sparekey.core.plurals import counted, rough_time

Report = Mapping[str, Any]
_KINDS: Final = {
    "emergency-tokencode": "the PIN and an emergency tokencode",
    "emergency-passcode": "an emergency passcode",
}
# the other states are reported elsewhere
_REPORTED_LOCKS: Final = frozenset({"locked", "locked-resettable", "locked-wide", "at-next-sign-in", "too-few-tries"})


def status_words(found: Report) -> str:
    """Return the text for people. `found` is the report of the agent, to root or to another user."""
    lines = [
        f"This computer is the device {found['name']} of {', '.join(found['servers'])}.",
        f"Agent: {'running' if found['daemon'] else 'not running'}. {_contact(found)}",
        *([f"Protection: {found['protection']['words']}."] if "protection" in found else []),
        "",
        "Without the network:" if found["users"] else "Without the network, no user can sign in.",
        *(line for user in found["users"] for line in _user(user)),
        *_of_the_computer(found),
    ]
    steps = list(_next_steps(found))
    if steps:
        lines += ["", "To do:", *(f"  - {step}" for step in steps)]
    return "\n".join(lines)


def _contact(found: Report) -> str:
    if not found["last_contact"]:
        return "It was never in contact with the server."
    ago = (_moment(found["time"]) - _moment(found["last_contact"])).total_seconds()
    if found.get("revoked"):
        return f"Last contact {rough_time(ago)} ago ({at(found['last_contact'])}); the device was revoked."
    message = f"Last contact {rough_time(ago)} ago ({at(found['last_contact'])})"
    if found["contact_trouble"]:
        message += f"; the last try failed: {found['contact_trouble']}"
    waiting = found.get("events_waiting", 0)  # in the report to root
    return message + (f"; {counted(waiting, 'event')} to be uploaded." if waiting else ".")


def _user(user: Report) -> Iterator[str]:
    accounts = [account for account in user["accounts"] if account != user["login"]]
    yield f"  {user['login']}" + (f", as {', '.join(accounts)} on this computer" if accounts else "") + ":"
    ways = list(_ways(user))
    yield from (f"    {way}" for way in ways or ["must sign in online here first"])
    if user["failures"]:
        yield f"    {counted(user['failures'], 'failed attempt')} of {user['failures_allowed']}"
    if user["pin_lock"]["state"] in _REPORTED_LOCKS:
        yield f"    {user['pin_lock']['words']}"
    if user["secrets"]:
        yield f"    keys kept: {', '.join(user['secrets'])}"
    yield from (f"    {obstacle}" for obstacle in user["obstacles"])


def _ways(user: Report) -> Iterator[str]:
    """Return the ways in which this user can sign in, and until when."""
    if user["days_until"] and not user["emergency_code_needed"] and not user["locked_at_server"]:
        yield f"with the usual passcode until {at(user['days_until'])} ({counted(user['days_left'], 'day')})"
    for pack in user["event_packs"]:
        yield f"with {counted(pack['codes_left'], 'code')} of the event-based token until {at(pack['expires'])}"
    for code in user["emergency_codes"]:
        yield f"with {_KINDS[code['kind']]} (version {code['version']}) until {at(code['expires'])}"


def _of_the_computer(found: Report) -> Iterator[str]:
    names = found.get("names", {"mapped": {}, "number": 0, "unmapped": "same"})
    if names["mapped"] or names["unmapped"] == "refused":
        mapped = ", ".join(f"{account} is {login}" for account, login in names["mapped"].items())
        more = names["number"] - len(names["mapped"])
        others = "use their own name" if names["unmapped"] == "same" else "have no login"
        yield f"Names: {mapped or 'none'}{f' and {more} more' if more else ''}; other accounts {others}."
    if "exempt" in found:
        asks = "Without a passcode" if found["logins_ask"] else "No login asks for a passcode yet. Exempt"
        yield f"{asks}: {', '.join(found['exempt']) or 'no account'}."


def _next_steps(found: Report) -> Iterator[str]:
    if found.get("revoked"):
        yield HOW_AFTER_REVOKING
        return
    if not found["daemon"]:
        yield "start the agent: `systemctl start sparekey-agent` (or `sparekey-agent run`)"
    if found["clock_wrong"]:
        yield "the clock is wrong, so tokencodes cannot be checked: set it, or connect to the network"
    if found["contact_trouble"] or not found["last_contact"]:
        yield "connect to the network. If it works, run `sparekey-agent doctor`"
    if not found["users"]:
        yield "sign in once online to fetch offline data: `sparekey-agent login USER`"
    for user in found["users"]:
        yield from _next_steps_of(user)
    if found.get("protection", {}).get("advice"):
        yield found["protection"]["advice"]
    if "names" in found and not found["names"]["mapped"] and found["names"]["unmapped"] == "refused":
        yield "no account has a login, so no user can sign in: add accounts under [names] in the configuration"


def _next_steps_of(user: Report) -> Iterator[str]:
    if user["locked_at_server"]:
        yield f"{user['login']} is locked at the server: ask the help desk to unlock it, or for an emergency code"
    elif user["emergency_code_needed"]:
        yield f"{user['login']} needs an emergency code now: call the help desk. {user['help']}".rstrip()
    if user["notice"]:
        yield f"{user['login']}: {user['notice']}"


def _moment(rfc3339: str) -> datetime:
    return datetime.fromisoformat(rfc3339)
