"""The words by which users are found: as one text in the account, and one a row. Always written with the account."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete

from sparekey.storage.bulk import insert_many
from sparekey.storage.tables import account_word


def as_text(words: Iterable[str]) -> str:
    """Return the words as the account stores them. A space precedes each word, so that a search finds its beginning."""
    return "".join(f" {word}" for word in words)


def insert_words(connection: Connection, words: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Insert the words of new users, as pairs of login and words."""
    rows = [{"word": word, "login": login} for login, found in words for word in found]
    insert_many(connection, "account_word", ("word", "login"), rows)


def replace_words(connection: Connection, login: str, before: str, words: Sequence[str]) -> None:
    """Replace the words of a user. `before`: the former text of the account."""
    gone = set(before.split()) - set(words)
    if gone:
        connection.execute(delete(account_word).where(account_word.c.word.in_(gone), account_word.c.login == login))
    new = sorted(set(words) - set(before.split()))
    insert_words(connection, [(login, new)])
