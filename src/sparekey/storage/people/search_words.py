"""The words by which users are found: beside the account as text, and one a row. Written with the account, always."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete

from sparekey.storage.bulk import insert_many
from sparekey.storage.tables import account_word


def as_text(words: Iterable[str]) -> str:
    """As the account keeps them: a space before each, so that a beginning of one is a part of the text."""
    return "".join(f" {word}" for word in words)


def insert_words(connection: Connection, words: Iterable[tuple[str, Sequence[str]]]) -> None:
    """(login, words) of each user; none of them is there yet."""
    rows = [{"word": word, "login": login} for login, found in words for word in found]
    insert_many(connection, "account_word", ("word", "login"), rows)


def replace_words(connection: Connection, login: str, before: str, words: Sequence[str]) -> None:
    """`before`: what the account kept as text."""
    gone = set(before.split()) - set(words)
    if gone:
        connection.execute(delete(account_word).where(account_word.c.word.in_(gone), account_word.c.login == login))
    new = sorted(set(words) - set(before.split()))
    insert_words(connection, [(login, new)])
