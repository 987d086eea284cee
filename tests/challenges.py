"""Sign-ins that lead to challenges: begin one, answer it, and state the answers that are right."""

from collections.abc import Mapping

from sparekey.app.instance import Instance
from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import SignInInterface, SignInResult, sign_in
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import ChallengeKind
from sparekey.core.sign_in.outcome import Asked
from sparekey.secret import Secret
from sparekey.storage import tables
from sparekey.storage.sealed_rows import update_rows
from tests.builders import NOW, REST, User, edit_policy

NEW_PIN = "9876wxyz"


def begin(
    instance: Instance, user: User, now: int = NOW, typed: str | None = None, *, interface: SignInInterface = REST
) -> SignInResult:
    """Submit the right passcode, or this one, and return the outcome."""
    text = user.typed(now) if typed is None else Secret(typed)
    return sign_in(instance, interface, user.login, text, now)


def reply(
    instance: Instance, user: User, to: SignInResult, text: str, now: int = NOW, *, interface: SignInInterface = REST
) -> SignInResult:
    """Answer the challenge and return the outcome."""
    return answer_challenge(instance, interface, user.login, name_of(to), Secret(text), now)


def name_of(verdict: SignInResult) -> Secret[str]:
    """The name by which the challenge is answered."""
    assert verdict.reply_to is not None, verdict
    return verdict.reply_to


def asked(verdict: SignInResult, ask: ChallengeKind | None = None) -> Asked:
    """Return the outcome as a challenge, or fail."""
    assert isinstance(verdict.outcome, Asked), verdict
    assert ask is None or verdict.outcome.ask is ask
    return verdict.outcome


def make_suspicious(instance: Instance, user: User, failures: int = 3, now: int = NOW) -> None:
    """Count this many failures at all interfaces, so that the next tokencode is required."""
    with instance.database.write() as connection:
        counts = {"failures": failures, "first_failure_at": now}
        values = counts | {f"admin_{name}": value for name, value in counts.items()}
        update_rows(connection, tables.account, [tables.account.c.id == user.account_id], values)


def edit_token_policy(instance: Instance, fields: Mapping[str, str]) -> None:
    edit_policy(instance, fields, kind=PolicyKind.TOKEN)
