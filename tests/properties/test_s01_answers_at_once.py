"""S01, S06 for challenges: of many answers at the same moment, on two instances, one counts."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sparekey.app.instance import Instance
from sparekey.app.sign_in.verification import SignInResult
from sparekey.core.reasons import ChallengeKind, Reason
from sparekey.core.sign_in.outcome import Denied, Granted, Outcome
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, User, a_user, account_row, an_instance, denied, elsewhere, granted, submit, token_row
from tests.challenges import NEW_PIN, asked, begin, make_suspicious, reply
from tests.shared_statements import open_database
from tools.counts import Count

ANSWERS = 64


@pytest.fixture
def instances(database: Database, database_url: str) -> Iterator[tuple[Instance, Instance]]:
    """Yield two instances on one database, each with its own connections."""
    first = an_instance(database)
    second = elsewhere(first, open_database(database_url), "two")
    yield first, second
    second.database.close()


def at_once(pool: ThreadPoolExecutor, answer: Callable[[int], SignInResult]) -> list[Outcome]:
    """Release all answers of one round together."""
    start = threading.Barrier(ANSWERS)

    def one(number: int) -> Outcome:
        start.wait(timeout=30)
        return answer(number).outcome

    return list(pool.map(one, range(ANSWERS)))


def test_s01_of_64_answers_to_one_challenge_one_counts(instances: tuple[Instance, Instance], count: Count) -> None:
    user = a_user(instances[0])
    with ThreadPoolExecutor(ANSWERS) as pool:
        for number in range(count(small=5, full=500)):
            now = NOW + 90 * number
            make_suspicious(instances[0], user, now=now)
            challenge = begin(instances[0], user, now)
            asked(challenge, ChallengeKind.NEXT_TOKENCODE)
            outcomes = at_once(pool, _answers(instances, user, challenge, now + 30))
            (one,) = (outcome for outcome in outcomes if isinstance(outcome, Granted))
            assert one.step == user.step(now) + 1
            assert {denied(other).reason for other in outcomes if other is not one} == {Reason.NO_SUCH_CHALLENGE}
            assert account_row(instances[0], user.login).failures == 0
            # The first code and its follower are used up.
            for step in (user.step(now), user.step(now) + 1):
                used = submit(instances[1], user, now + 30, user.typed(30 * step))
                assert denied(used).reason is Reason.ALREADY_USED
    granted(submit(instances[0], user, NOW + 90 * count(small=5, full=500)))


def test_s01_of_64_challenges_for_one_code_one_succeeds(instances: tuple[Instance, Instance], count: Count) -> None:
    user = a_user(instances[0])
    with ThreadPoolExecutor(ANSWERS) as pool:
        for number in range(count(small=2, full=100)):
            now = NOW + 90 * number
            make_suspicious(instances[0], user, now=now)
            challenges = [begin(instances[each % 2], user, now) for each in range(ANSWERS)]

            def answer(each: int, challenges: list[SignInResult] = challenges, now: int = now) -> SignInResult:
                text = user.totp.code(user.step(now) + 1)
                return reply(instances[each // 2 % 2], user, challenges[each], text, now + 30)

            outcomes = at_once(pool, answer)
            assert len([outcome for outcome in outcomes if isinstance(outcome, Granted)]) == 1
            refused = {outcome.reason for outcome in outcomes if isinstance(outcome, Denied)}
            assert refused == {Reason.ALREADY_USED}
            assert account_row(instances[0], user.login).failures <= 1  # a repeat is counted at most once per step


def test_s01_of_64_confirmations_one_sets_the_pin(instances: tuple[Instance, Instance]) -> None:
    user = a_user(instances[0], with_pin=True)
    first = begin(instances[0], user, typed=user.totp.code(user.step(NOW)))
    challenge = reply(instances[0], user, first, NEW_PIN)
    asked(challenge, ChallengeKind.CONFIRM_PIN)
    with ThreadPoolExecutor(ANSWERS) as pool:
        outcomes = at_once(pool, lambda each: reply(instances[each % 2], user, challenge, NEW_PIN))
    assert len([outcome for outcome in outcomes if isinstance(outcome, Granted)]) == 1
    granted(submit(instances[0], replace(user, pin=NEW_PIN), NOW + 30))
    assert token_row(instances[0], user.serial).last_step == user.step(NOW + 30)


def test_s06_of_64_wrong_answers_at_the_limit_two_depend_on_the_code(instances: tuple[Instance, Instance]) -> None:
    user = a_user(instances[0])
    make_suspicious(instances[0], user)
    challenges = [begin(instances[0], user) for _ in range(ANSWERS)]
    with ThreadPoolExecutor(ANSWERS) as pool:
        outcomes = at_once(pool, lambda each: reply(instances[each % 2], user, challenges[each], "000000"))
    reasons = [denied(outcome).reason for outcome in outcomes]
    assert set(reasons) <= {Reason.WRONG_PASSCODE, Reason.LOCKED}
    assert reasons.count(Reason.WRONG_PASSCODE) == 2  # three failures came before, the limit is five
    row = account_row(instances[0], user.login)
    assert (row.failures, row.locked_at) == (5, NOW)


def _answers(
    instances: tuple[Instance, Instance], user: User, challenge: SignInResult, now: int
) -> Callable[[int], SignInResult]:
    code = user.totp.code(user.step(now - 30) + 1)
    return lambda each: reply(instances[each % 2], user, challenge, code, now)
