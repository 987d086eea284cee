"""Acts of operators that replace a factor of a user, and the decision if an act needs an approval (S48).

Rules:
- The first factor is the PIN, the second one the code of a token. This is the one table of all acts: the factors that
  an act gives to its operator, and how long they work.
- An act needs an approval if the factors that it gives, together with those that the same operator holds or was
  given within a day, are both. A passcode is both at once.
- A user who has never signed in, and whose factors all come from this operator, has nothing that could be replaced.
- Unlocking gives no factor, but attempts to guess one. More than a few within a day count as the missing factor.
- The policy says if approvals are needed at all. So lifting that rule needs one, too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Flag, StrEnum
from typing import Final

from sparekey.durations import DAY_SECONDS

COUNTED_SECONDS: Final = DAY_SECONDS  # an act counts at least for this time
MOST_UNLOCKS: Final = 3  # of one user by one operator within that time; each allows as many guesses as the lockout


class Factor(Flag):
    """The factors of a user. PIN: the first one. CODE: the second one, which the user has."""

    NONE = 0
    PIN = 1
    CODE = 2
    BOTH = 3


class Lasts(StrEnum):
    """The time for which the factors of an act work, beyond the day for which every act counts."""

    A_DAY = "a day"
    UNTIL_OWN_PIN = "until the user has chosen a PIN, and no device has data of the old one"
    WITH_TOKEN = "while the user has the token"
    WITH_CODE = "until the code expires or is ended"
    ALONE = "until the code expires; it combines with nothing"


class OperatorAct(StrEnum):
    """One kind of act. The values are stored with requests for approval."""

    PIN_SET = "pin-set"
    PIN_CLEARED = "pin-cleared"
    TOKEN_ADDED = "token-added"
    TOKEN_IMPORTED = "token-imported"
    TOKEN_ASSIGNED = "token-assigned"
    TOKEN_REPLACED = "token-replaced"
    TOKEN_ENABLED = "token-enabled"
    TOKEN_FOUND = "token-found"
    TOKEN_PROLONGED = "token-prolonged"
    TOKENCODE_SHOWN = "tokencode-shown"
    PASSCODE_SHOWN = "passcode-shown"
    TEMPORARY_ACCESS = "temporary-access"
    USER_ENABLED = "user-enabled"
    USER_PROLONGED = "user-prolonged"
    USER_UNLOCKED = "user-unlocked"
    USER_MOVED = "user-moved"
    ADMIN_LINK = "admin-link"
    RULE_LIFTED = "rule-lifted"


@dataclass(frozen=True)
class ActRule:
    """A line of the table. `gives`: of a token with a PIN. `title`: the act, for the approver. `with_this`: the result.

    `use_cases`: the functions that do it, as `app.rest` names operations.
    """

    gives: Factor
    lasts: Lasts
    title: str
    with_this: str
    use_cases: tuple[str, ...]


ACTS: Final[Mapping[OperatorAct, ActRule]] = {
    OperatorAct.PIN_SET: ActRule(
        Factor.PIN, Lasts.UNTIL_OWN_PIN, "set the PIN of a token", "a PIN that you set", ("tokens.set_pin",)
    ),
    OperatorAct.PIN_CLEARED: ActRule(
        Factor.PIN,
        Lasts.UNTIL_OWN_PIN,
        "clear the PIN of a token",
        "a PIN that you clear",
        ("tokens.clear_pin",),
    ),
    OperatorAct.TOKEN_ADDED: ActRule(
        Factor.CODE, Lasts.WITH_TOKEN, "add a token", "a token that you add", ("tokens.add_token",)
    ),
    # Only later, when a user has one of the tokens: the operator may have read the seeds in the file.
    OperatorAct.TOKEN_IMPORTED: ActRule(
        Factor.CODE,
        Lasts.WITH_TOKEN,
        "import tokens",
        "a token that you import",
        ("token_imports.import_tokens",),
    ),
    OperatorAct.TOKEN_ASSIGNED: ActRule(
        Factor.CODE,
        Lasts.WITH_TOKEN,
        "assign a token",
        "a token that you assign",
        ("token_lifecycle.assign",),
    ),
    OperatorAct.TOKEN_REPLACED: ActRule(
        Factor.CODE,
        Lasts.WITH_TOKEN,
        "replace a token",
        "a token that you assign",
        ("token_lifecycle.replace",),
    ),
    # These three bring back a token that anybody may have by now, for example the help desk in a drawer.
    OperatorAct.TOKEN_ENABLED: ActRule(
        Factor.CODE,
        Lasts.A_DAY,
        "enable a token",
        "a token that you enable",
        ("tokens.set_enabled", "tokens.set_enabled_at_once"),
    ),
    OperatorAct.TOKEN_FOUND: ActRule(
        Factor.CODE,
        Lasts.A_DAY,
        "mark a token as found",
        "a token that you mark as found",
        ("tokens.set_lost",),
    ),
    OperatorAct.TOKEN_PROLONGED: ActRule(
        Factor.CODE,
        Lasts.A_DAY,
        "give an expired token a later expiry",
        "a token that you prolong",
        ("tokens.set_expiry",),
    ),
    OperatorAct.TOKENCODE_SHOWN: ActRule(
        Factor.CODE,
        Lasts.WITH_CODE,
        "show an offline emergency tokencode",
        "an offline emergency tokencode that you see",
        ("emergency.show",),
    ),
    OperatorAct.PASSCODE_SHOWN: ActRule(
        Factor.BOTH,
        Lasts.ALONE,
        "show an offline emergency passcode",
        "an offline emergency passcode that you see",
        ("emergency.show",),
    ),
    OperatorAct.TEMPORARY_ACCESS: ActRule(
        Factor.CODE,
        Lasts.WITH_CODE,
        "give temporary tokencodes",
        "temporary tokencodes that you give",
        ("online_emergency.give_fixed", "online_emergency.give_one_time"),
    ),
    OperatorAct.USER_ENABLED: ActRule(
        Factor.CODE,
        Lasts.A_DAY,
        "enable a user",
        "a user whom you enable",
        ("users.set_enabled", "users.set_enabled_at_once"),
    ),
    OperatorAct.USER_PROLONGED: ActRule(
        Factor.CODE,
        Lasts.A_DAY,
        "give an expired user a later expiry",
        "a user whom you prolong",
        ("users.edit_user",),
    ),
    OperatorAct.USER_UNLOCKED: ActRule(
        Factor.NONE,
        Lasts.A_DAY,
        "unlock a user again",
        "repeated unlocking, which allows guesses",
        ("users.unlock", "users.unlock_at_once"),
    ),
    # Only if the rule of two people does not hold in the new domain.
    OperatorAct.USER_MOVED: ActRule(
        Factor.BOTH,
        Lasts.ALONE,
        "move a user to a domain where one person is enough",
        "a domain where one person is enough",
        ("users.move_user",),
    ),
    OperatorAct.ADMIN_LINK: ActRule(
        Factor.BOTH,
        Lasts.A_DAY,
        "make a link for a super administrator",
        "a link for a super administrator",
        ("admin_links.make_link",),
    ),
    OperatorAct.RULE_LIFTED: ActRule(
        Factor.BOTH,
        Lasts.ALONE,
        "change a policy so that one person is enough",
        "a policy by which one person is enough",
        ("policies.set_fields", "policies.assign_policy", "policies.make_default", "policies.remove_policy"),
    ),
}

# Every other use case that changes something and has a line in the registry, with the reason why it replaces no factor.
_TAKES_AWAY: Final = "it only takes access away"
_NO_FACTOR: Final = "it is about no factor of a user"
HARMLESS: Final[Mapping[str, str]] = {
    "users.add_user": "a new user has no factor yet",
    "user_imports.import_users": "a new user has no factor yet",
    "token_lifecycle.remove": _TAKES_AWAY,
    "token_lifecycle.unassign": _TAKES_AWAY,
    "token_resync.resync": "it needs two codes of the token, and uses them up",
    "emergency.set_online": "an operator who knows the code was counted when it was shown",
    "emergency.reset": "the operator does not see the new code",
    "online_emergency.end": _TAKES_AWAY,
    "devices.invite": _NO_FACTOR,
    "invitations.withdraw": _TAKES_AWAY,
    "devices.revoke": _TAKES_AWAY,
    "devices_stolen.report_stolen": _TAKES_AWAY,
    "domains.add_domain": _NO_FACTOR,
    "domains.move_domain": "policies do not depend on the place of a domain",
    "domains.remove_domain": "it is empty",
    "policies.add_policy": "it is in force nowhere yet",
    "roles.add_role": _NO_FACTOR,
    "roles.set_permissions": _NO_FACTOR,
    "roles.remove_role": _TAKES_AWAY,
    "roles.grant": "a user with a role needs the same factors as before",
    "roles.revoke": _TAKES_AWAY,
    "session_lists.end_session_of": _TAKES_AWAY,
    "passkeys.remove_passkey": _TAKES_AWAY,
    "clients.add_client": "acts of a program count for every operator",
    "clients.revoke_client": _TAKES_AWAY,
    "approvals.approve": "the act itself counts",
    "approvals.refuse": _TAKES_AWAY,
    "operators.lift": "each code counts as an act",
    "alarms.acknowledge": _NO_FACTOR,
}


@dataclass(frozen=True)
class Cause:
    """One act of the operator that counts: its kind, and when, in unix seconds."""

    kind: OperatorAct
    at: int


@dataclass(frozen=True)
class HeldFactors:
    """The factors of one user that one operator has, or was given within a day.

    `causes`: the acts, oldest first. `unlocks`: how often the operator unlocked the user within a day. `handed_over`:
    ids of the user's tokens that came from the operator. `untouched`: the user has never signed in, and every factor
    came from the operator.
    """

    factors: Factor = Factor.NONE
    causes: tuple[Cause, ...] = ()
    unlocks: int = 0
    handed_over: frozenset[str] = frozenset()
    untouched: bool = False


@dataclass(frozen=True)
class TokenOfAct:
    """A token that an act is about, as it will be. `ready`: it is enabled, not lost and not expired already."""

    token_id: str
    with_pin: bool
    pin_set: bool
    ready: bool = True

    @property
    def needs_pin(self) -> bool:
        """True if its codes alone are refused."""
        return self.with_pin and self.pin_set


@dataclass(frozen=True)
class AskedAct:
    """An act that an operator is about to do. `tokens`: those that it is about. `others`: the user's other tokens."""

    kind: OperatorAct
    tokens: tuple[TokenOfAct, ...] = ()
    others: int = 0

    @property
    def gives(self) -> Factor:
        """The factors that it gives. The code of a token without a PIN is all that its user needs."""
        gives = ACTS[self.kind].gives
        return Factor.BOTH if gives is Factor.CODE and not all(token.needs_pin for token in self.tokens) else gives


def needs_second_person(asked: AskedAct, held: HeldFactors) -> bool:
    """Decide if an act needs an approval, where the policy asks for two people."""
    if (held.untouched and not asked.others) or _gives_nothing_new(asked, held):
        return False
    is_unlock = asked.kind is OperatorAct.USER_UNLOCKED
    guesses = held.unlocks + is_unlock > MOST_UNLOCKS
    if is_unlock:
        return guesses and held.factors is not Factor.NONE
    return guesses or asked.gives | held.factors is Factor.BOTH


def _gives_nothing_new(asked: AskedAct, held: HeldFactors) -> bool:
    """Return True for the PIN of a token that this operator handed over and that has none yet.

    Its code alone leads to the choice of a PIN, so that the operator, who was given both factors then, has them.
    """
    return asked.kind in (OperatorAct.PIN_SET, OperatorAct.PIN_CLEARED) and all(
        token.ready and not token.pin_set and token.token_id in held.handed_over for token in asked.tokens
    )


def newest_of_each(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Return the newest act of each kind, oldest first: the ones that a message names."""
    newest: dict[OperatorAct, Cause] = {}
    for cause in sorted(causes, key=lambda each: each.at):
        newest.pop(cause.kind, None)
        newest[cause.kind] = cause
    return tuple(newest.values())
