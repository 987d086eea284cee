"""One user of each kind, and the texts that are typed for them: an attacker must not tell the kinds apart (S07)."""

from typing import Final

from sparekey.app.emergency.online import Terms, give_fixed
from sparekey.app.instance import Instance
from sparekey.app.people.users import add_user, set_enabled
from sparekey.app.tokens.tokens import NewToken
from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage import tables
from sparekey.storage.failure_counts import CLEARED
from sparekey.storage.sealed_rows import update_rows
from tests.builders import CALLED_BACK, NOW, ROOT, User, a_token, a_user, edit_policy
from tests.server.interfaces import Interfaces, make_administrator

PIN: Final = "4712"  # with a code of six digits, only one reading
FOUR_WAYS: Final = "47120003700106"  # 8 + 6, 7 + 7, 6 + 8, and 4 + 10 with right check characters

# The texts, and the PINs that they may begin with where tokens of all lengths and codes of digits exist.
HASHES: Final = {
    FOUR_WAYS: 4,
    PIN + "000000": 1,
    PIN + "abcd2345": 1,
    "000000": 0,
    PIN + "0003700": 2,
    PIN + " 00037-00106": 1,
    PIN + " 00037-00107": 0,  # a misread group
    "?": 0,
}


def users_of_all_kinds(interfaces: Interfaces, domain: str) -> dict[str, str]:
    """Return a login for each kind of user. No text of HASHES is a passcode of theirs."""
    instance = interfaces.instance
    edit_policy(instance, {"emergency_alphabet": "digits"}, kind=PolicyKind.TOKEN)
    users = {
        kind: a_user(instance, pin=PIN, domain=domain)
        for kind in ("one token", "locked", "disabled", "emergency", "four tokens", "administrator", "locked too")
    }
    users["no PIN"] = a_user(instance, domain=domain)
    users["no PIN set"] = a_user(instance, with_pin=True, domain=domain)
    users["out of scope"] = a_user(instance, pin=PIN)
    users["administrator of four tokens"] = a_user(instance, pin=PIN, domain=domain)
    for kind in ("four tokens", "administrator of four tokens"):
        for token in (NewToken(), NewToken(digits=7), NewToken(digits=8)):
            a_token(instance, users[kind].login, users[kind].account_id, pin=PIN, token=token)
    set_enabled(instance, ROOT, users["disabled"].login, enabled=False, now=NOW)
    give_fixed(instance, ROOT, users["emergency"].serial, Terms(), CALLED_BACK, now=NOW)
    make_administrator(instance, *(user.login for kind, user in users.items() if kind.startswith("admin")))
    make_administrator(instance, users["locked too"].login)
    for kind in ("locked", "locked too"):
        set_locked(instance, users[kind])
    add_user(instance, ROOT, "tokenless", domain, now=NOW)
    logins = {kind: user.login for kind, user in users.items()}
    return {**logins, "no token": "tokenless", "unknown": "nobody", "no login at all": "\x00"}


def set_locked(instance: Instance, user: User) -> None:
    """Lock the user at every interface, as five failures there do."""
    values = {"locked_at": NOW, "failures": 5, "admin_locked_at": NOW, "admin_failures": 5}
    with instance.database.write() as connection:
        update_rows(connection, tables.account, [tables.account.c.id == user.account_id], values)


def unlock_all_but_the_locked(instance: Instance) -> None:
    """Clear the failures of all unlocked users, so that the guesses of a test lock none of them."""
    with instance.database.write() as connection:
        unlocked = [tables.account.c.locked_at.is_(None), tables.account.c.admin_locked_at.is_(None)]
        update_rows(connection, tables.account, unlocked, CLEARED)
