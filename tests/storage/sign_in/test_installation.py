"""The codes that tokens of an installation can have: the question to the database, and its answer for a minute."""

from sqlalchemy import text

from sparekey.app.installed_codes import LIFETIME, RecentlyInstalled
from sparekey.app.tokens.tokens import NewToken
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.outcome import Granted
from sparekey.core.sign_in.typed_text import EVERY_CODE, InstalledCodes
from sparekey.storage.sign_in.installation import find_installed_codes
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, PIN, a_user, an_instance, edit_policy, submit


def found(database: Database) -> InstalledCodes:
    with database.glance() as connection:
        return find_installed_codes(connection)


def test_the_installation_has_the_lengths_of_its_tokens_and_six(database: Database) -> None:
    instance = an_instance(database)
    assert found(database) == InstalledCodes(frozenset({6}), online_digits=False)
    a_user(instance)
    assert found(database).digits == {6}
    a_user(instance, token=NewToken(digits=8))
    assert found(database).digits == {6, 8}
    a_user(instance, token=NewToken(digits=7))
    assert found(database) == InstalledCodes(frozenset({6, 7, 8}), online_digits=False)
    edit_policy(instance, {"emergency_alphabet": "digits"}, kind=PolicyKind.TOKEN)
    assert found(database) == InstalledCodes(frozenset({6, 7, 8}), online_digits=True)


def test_an_index_answers_for_any_number_of_tokens(memory_database: Database) -> None:
    an_instance(memory_database)
    asked = text("EXPLAIN QUERY PLAN SELECT EXISTS (SELECT 1 FROM token WHERE digits <> 6 AND digits = 8)")
    with memory_database.glance() as connection:
        plan = " ".join(str(row) for row in connection.execute(asked))
    assert "ix_token_digits" in plan


def test_the_answer_counts_for_a_minute(memory_database: Database) -> None:
    instance, recent = an_instance(memory_database), RecentlyInstalled()
    assert recent.latest == EVERY_CODE

    def digits(now: int) -> frozenset[int]:
        with memory_database.glance() as connection:
            return recent.at(connection, now).digits

    assert digits(NOW) == {6}
    a_user(instance, token=NewToken(digits=8))
    assert digits(NOW + LIFETIME - 1) == {6} == recent.latest.digits
    assert digits(NOW + LIFETIME) == {6, 8} == recent.latest.digits
    a_user(instance, token=NewToken(digits=7))
    assert digits(NOW) == {6, 7, 8}  # the clock was set back


def test_a_token_of_another_length_signs_in_within_the_minute(memory_database: Database) -> None:
    instance = an_instance(memory_database)
    user = a_user(instance, pin=PIN)
    assert isinstance(submit(instance, user, NOW), Granted)
    assert instance.installed.latest.digits == {6}
    newer = a_user(instance, pin=PIN, token=NewToken(digits=8))
    assert isinstance(submit(instance, newer, NOW), Granted)
