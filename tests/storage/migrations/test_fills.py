"""Values that migrations fill in for existing rows."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from sparekey.core.search_words import words_of
from sparekey.storage import schema
from sparekey.storage.engine import open_engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def test_users_from_before_the_migration_are_found(engine: Engine) -> None:
    with engine.begin() as connection:
        schema.upgrade_in(connection, "0005")
        connection.execute(text("INSERT INTO security_domain (id, name) VALUES ('d', 'Top')"))
        for number in range(3):
            connection.execute(
                text("""INSERT INTO account (id, login, name, domain_id, enabled, failures, created_at, mail)
                        VALUES (:id, :id, 'Zoë Meier', 'd', :yes, 0, 1, 'z.meier@example.org')"""),
                {"id": f"u{number}", "yes": True},
            )
        connection.execute(
            text("""INSERT INTO device (id, name, domain_id, public_key, supports_offline, hardware_bound, enrolled_at,
                                        event_number, event_hash)
                    VALUES ('c', 'Büro 7', 'd', :key, :yes, :yes, 1, 0, :key)"""),
            {"key": b"k", "yes": True},
        )
    schema.upgrade(engine)
    with engine.connect() as connection:
        for login in ("u0", "u1", "u2"):
            words = connection.execute(text("SELECT word FROM account_word WHERE login = :l"), {"l": login}).scalars()
            assert tuple(sorted(words)) == words_of(login, "Zoë Meier", "z.meier@example.org")
            kept = connection.execute(text("SELECT words FROM account WHERE login = :l"), {"l": login}).scalar_one()
            assert tuple(kept.split()) == words_of(login, "Zoë Meier", "z.meier@example.org")
        assert connection.execute(text("SELECT name_key FROM device")).scalar() == "buro 7"
        assert set(connection.execute(text("SELECT name_key FROM account")).scalars()) == {"zoe meier"}
