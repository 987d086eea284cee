"""The watch over a database: a row put back raises one alarm, genuine acts none, whatever is under way meanwhile."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Connection, text

from sparekey.app.audit_log import watcher as watch
from sparekey.app.audit_log.sequencer import chain
from sparekey.app.audit_log.watcher import AlteredBatch, Watcher, WatchStep
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.imports import import_users
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import set_enabled, unlock
from sparekey.app.ports import KeyPurpose
from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import sign_in
from sparekey.app.tokens import life_cycle
from sparekey.app.tokens.tokens import set_lost, set_pin
from sparekey.core.audit_log.actions import Action
from sparekey.core.audit_log.watched import AGAIN, COUNTED_AGAIN, Difference, WatchedKind
from sparekey.keystore.watch_file import WatchFile
from sparekey.secret import Secret
from sparekey.storage.audit_log import alarms, watched_rows
from sparekey.storage.failure_counts import COUNT_NAMES
from tests.builders import LIMIT, NOW, PIN, REST, ROOT, User, a_device, a_user, denied, granted, logged_events, submit
from tests.memory_keystore import MemoryCheckpoints

HOUR = 3_600


@dataclass
class Watched:
    """A server with its sequencer and its watch."""

    server: Instance
    book: WatchFile
    now: int = NOW
    checkpoints: MemoryCheckpoints = field(default_factory=MemoryCheckpoints)
    watcher: Watcher = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        public_key = self.server.keystore.public_key(KeyPurpose.CHECKPOINT)
        self.watcher = Watcher(self.server.database, public_key, self.book)

    def chain(self) -> None:
        chain(self.server.database, self.server.keystore, self.checkpoints, self.now)

    def second(self) -> WatchStep:
        """One second of a running server."""
        self.now += 1
        self.chain()
        return self.watcher.step(self.now)

    def a_round(self) -> list[Difference]:
        """Run until a whole round has ended."""
        found: list[Difference] = []
        for _ in range(100):
            step = self.second()
            found += [each for each in step.differences if each not in found]
            if step.round_ended:
                return found
        raise AssertionError("no round ended in 100 s")

    def sql(self, statement: str, **values: object) -> None:
        """Execute a statement as an attacker with the database's password."""
        with self.server.database.write() as connection:
            connection.execute(text(statement), values)

    def alarms(self, action: Action = Action.ALARM_STATE_ROLLED_BACK) -> list[str]:
        return [row.detail for row in logged_events(self.server, action)]


@pytest.fixture
def watched(any_server: Instance) -> Iterator[Watched]:
    with closing(WatchFile.temporary()) as book:
        yield Watched(any_server, book)


@pytest.fixture
def small(server: Instance) -> Iterator[Watched]:
    """A watched server in memory, for tests in which the kind of database makes no difference."""
    with closing(WatchFile.temporary()) as book:
        yield Watched(server, book)


def test_s47_a_step_put_back_raises_one_alarm(watched: Watched) -> None:
    user = a_user(watched.server)
    assert watched.a_round() == []
    granted(submit(watched.server, user, watched.now))
    assert watched.a_round() == []
    step = user.step(watched.now - 20)
    watched.sql("UPDATE token SET last_step = 0 WHERE id = :id", id=user.token_id)
    (found,) = watched.a_round()
    assert (found.kind, found.key, found.fact, found.stored) == (WatchedKind.TOKEN, user.token_id, "step", 0)
    assert isinstance(found.logged, int)
    assert found.logged >= step
    with watched.server.database.read() as connection:
        (line,) = alarms.list_alarms(connection)
    assert (line.login, line.serial, line.result) == (user.login, user.serial, "token step")


def test_s47_an_alarm_is_raised_once_and_again_after_it_was_gone(watched: Watched) -> None:
    user = a_user(watched.server)
    set_enabled(watched.server, ROOT, user.login, enabled=False, now=watched.now)
    back = "UPDATE account SET enabled = :enabled WHERE id = :id"
    for number in (1, 2):
        watched.sql(back, enabled=True, id=user.account_id)
        for _ in range(3):
            assert [each.fact for each in watched.a_round()] == ["enabled"]
        watched.restart()  # another process takes over
        assert [each.fact for each in watched.a_round()] == ["enabled"]
        assert len(watched.alarms()) == number
        watched.sql(back, enabled=False, id=user.account_id)
        assert watched.a_round() == []


def test_s47_what_is_chained_is_compared_at_once(small: Watched) -> None:
    user = a_user(small.server)
    small.a_round()
    small.second()  # the round rests
    set_lost(small.server, ROOT, user.serial, lost=True, now=small.now)
    small.sql("UPDATE token SET lost = false WHERE id = :id", id=user.token_id)
    assert [each.fact for each in small.second().differences] == ["lost"]


def test_s47_a_replayed_code_raises_an_alarm_at_once(small: Watched) -> None:
    """After the replay, the row agrees with the log again: the log itself has two successes of one step."""
    user = a_user(small.server)
    small.a_round()
    small.second()  # the round rests
    with small.server.database.read() as connection:
        old = connection.execute(text("SELECT last_step, step_seal FROM token")).one()
    granted(submit(small.server, user, NOW + 60))
    small.second()
    back = "UPDATE token SET last_step = :step, step_seal = :seal WHERE id = :id"  # only an old pair is believed
    small.sql(back, id=user.token_id, step=old.last_step, seal=old.step_seal)
    granted(submit(small.server, user, NOW + 60))
    assert [each.fact for each in small.second().differences] == [AGAIN]
    small.a_round()
    assert len(small.alarms()) == 1
    small.now += 31 * 24 * HOUR
    assert small.a_round() == []  # it was long ago


COUNTS = (*COUNT_NAMES, "counts_seal")


def counts_of(watched: Watched, user: User) -> dict[str, object]:
    """Return the counts of failures with their seal, which an attacker can put back."""
    with watched.server.database.read() as connection:
        row = connection.execute(text("SELECT * FROM account WHERE id = :id"), {"id": user.account_id}).one()
    return {name: getattr(row, name) for name in COUNTS}


def put_counts_back(watched: Watched, user: User, counts: dict[str, object]) -> None:
    columns = ", ".join(f"{name} = :{name}" for name in counts)
    watched.sql(f"UPDATE account SET {columns} WHERE id = :id", id=user.account_id, **counts)


def test_s47_old_counts_put_back_raise_an_alarm(watched: Watched) -> None:
    user = a_user(watched.server)
    clear = counts_of(watched, user)
    for _ in range(LIMIT):
        denied(submit(watched.server, user, watched.now, user.wrong(watched.now)))
    assert watched.a_round() == []
    put_counts_back(watched, user, clear)
    (found,) = watched.a_round()
    assert (found.kind, found.fact, found.logged, found.stored) == (WatchedKind.ACCOUNT, "counts_version", LIMIT, 0)
    assert len(watched.alarms()) == 1
    assert unlock(watched.server, ROOT, user.login, now=watched.now) is False  # nothing is counted
    denied(submit(watched.server, user, watched.now, user.wrong(watched.now)))
    assert unlock(watched.server, ROOT, user.login, now=watched.now)
    assert [each.fact for each in watched.a_round()] == [COUNTED_AGAIN]  # row and log agree again


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("old", range(3))
def test_s47_a_guess_on_old_counts_raises_an_alarm_at_once(small: Watched, right: bool, old: int) -> None:
    """After the guess the attacker puts the newest counts back, too: the log itself has two changes of one version."""
    user = a_user(small.server)
    small.a_round()
    versions = [counts_of(small, user)]
    for _ in range(3):
        denied(submit(small.server, user, small.now, user.wrong(small.now)))
        versions.append(counts_of(small, user))
    assert small.second().differences == ()
    put_counts_back(small, user, versions[old])
    submit(small.server, user, small.now, None if right else user.wrong(small.now))
    put_counts_back(small, user, versions[-1])
    assert COUNTED_AGAIN in [each.fact for each in small.second().differences]


def test_s47_genuine_failures_successes_and_unlocks_are_no_difference(watched: Watched) -> None:
    user = a_user(watched.server, pin=PIN)
    for number in range(12):
        wrong = user.wrong(watched.now) if number % 4 else None
        submit(watched.server, user, watched.now, wrong)
        if number % 5 == 4:
            unlock(watched.server, ROOT, user.login, now=watched.now)
        watched.now += 60
        assert watched.second().differences == ()
    assert watched.a_round() == []


def test_s47_a_sign_in_that_is_asked_for_a_pin_is_no_replay(small: Watched) -> None:
    user = a_user(small.server, with_pin=True)
    asked = sign_in(small.server, REST, user.login, Secret(user.totp.code(user.step(NOW))), NOW)
    for _ in range(2):
        assert asked.reply_to is not None
        asked = answer_challenge(small.server, REST, user.login, asked.reply_to, Secret("8261hgdk"), NOW)
    granted(asked.outcome)
    assert small.a_round() == []


def test_s47_a_revoked_role_that_is_back_raises_an_alarm(watched: Watched) -> None:
    user = a_user(watched.server)
    grant = (watched.server, ROOT, "auditor", HolderKind.USER, user.login, TOP_DOMAIN)
    roles.grant(*grant, now=watched.now)
    watched.sql("CREATE TABLE kept AS SELECT * FROM role_grant")
    roles.revoke(*grant, now=watched.now)
    assert watched.a_round() == []
    watched.sql("INSERT INTO role_grant SELECT * FROM kept")
    assert [(each.kind, each.fact, each.stored) for each in watched.a_round()] == [(WatchedKind.GRANT, "here", True)]
    assert "auditor" in watched.alarms()[0]


def test_s47_events_that_are_not_chained_yet_count(watched: Watched) -> None:
    user = a_user(watched.server)
    watched.a_round()
    watched.now += 60
    set_lost(watched.server, ROOT, user.serial, lost=True, now=watched.now)
    granted(submit(watched.server, a_user(watched.server), watched.now))
    assert watched.watcher.step(watched.now).differences == ()


def test_s47_an_act_under_way_is_no_difference(watched: Watched) -> None:
    """State and event of a transaction are seen together or not at all."""
    user = a_user(watched.server)
    watched.a_round()
    with watched.server.database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = OFF")
        connection.execute(text("UPDATE token SET lost = true WHERE id = :id"), {"id": user.token_id})
        watched.now += 60
        assert watched.watcher.step(watched.now).differences == ()
        connection.rollback()


def test_s47_a_large_import_is_no_difference(small: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_WAITING", 10)
    small.a_round()
    data = "login\n" + "".join(f"imported{number}\n" for number in range(30))
    import_users(small.server, ROOT, data.encode(), now=small.now)
    assert small.watcher.step(small.now).behind  # it waits until the import is chained
    assert small.a_round() == []


def test_s47_a_token_that_changes_hands_is_no_difference(small: Watched) -> None:
    first, second = a_user(small.server, pin=PIN), a_user(small.server)
    small.a_round()
    life_cycle.unassign(small.server, ROOT, first.serial, now=small.now)
    assert small.a_round() == []
    life_cycle.assign(small.server, ROOT, first.serial, second.login, now=small.now)
    set_pin(small.server, ROOT, first.serial, Secret("8261hgdk"), now=small.now)
    assert small.a_round() == []


def test_s47_an_offline_success_counts_as_far_as_it_was_believed(small: Watched) -> None:
    user, device = a_user(small.server), a_device(small.server)
    granted(device.sign_in(user, small.now).outcome)
    device.offline_success(user, small.now + 60)
    device.offline_success(user, small.now + 100 * HOUR)  # the server does not believe this one
    small.now += 120
    device.upload(small.now)
    assert small.a_round() == []
    small.sql("UPDATE token SET last_step = last_step - 1 WHERE id = :id", id=user.token_id)
    assert [each.fact for each in small.a_round()] == ["step"]


def test_s47_a_batch_that_is_altered_raises_one_alarm(watched: Watched) -> None:
    user = a_user(watched.server)
    watched.a_round()
    set_lost(watched.server, ROOT, user.serial, lost=True, now=watched.now)
    watched.chain()
    watched.sql("UPDATE audit SET action = 'token.found' WHERE action = 'token.lost'")
    altered = [each for _ in range(30) for each in watched.second().altered]
    assert len(altered) == 1
    assert len(watched.alarms(Action.ALARM_AUDIT_ROLLED_BACK)) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_batch SET signature = hash WHERE number = 1",
        "UPDATE audit_batch SET signed_at = signed_at + 1 WHERE number = 1",
        "UPDATE audit_batch SET previous = hash WHERE number = 1",
        "DELETE FROM audit WHERE id = 1",
        "UPDATE audit SET batch = NULL WHERE id = 1",
    ],
)
def test_s47_a_log_that_was_altered_before_it_is_read_tells_nothing(small: Watched, change: str) -> None:
    a_user(small.server)
    small.chain()
    small.sql(change)
    assert small.watcher.step(small.now).altered == (AlteredBatch(1),)


def test_s47_a_history_that_was_replaced_is_read_anew(small: Watched) -> None:
    user = a_user(small.server)
    small.a_round()
    small.sql("UPDATE audit SET batch = NULL")
    small.sql("DELETE FROM audit_batch")
    step = small.second()
    assert step.altered == (AlteredBatch(0),)
    assert small.a_round() == []
    small.sql("UPDATE token SET last_step = -5 WHERE id = :id", id=user.token_id)
    assert [each.fact for each in small.a_round()] == ["step"]


def test_s47_the_beginning_of_the_log_may_be_gone(small: Watched) -> None:
    user = a_user(small.server)
    small.second()
    set_lost(small.server, ROOT, user.serial, lost=True, now=small.now)
    small.second()
    small.sql("DELETE FROM audit WHERE batch = 1")
    small.sql("DELETE FROM audit_batch WHERE number = 1")
    with closing(WatchFile.temporary()) as book:
        anew = Watched(small.server, book, small.now, small.checkpoints)
        assert anew.a_round() == []
        anew.sql("UPDATE token SET lost = false, enabled = false WHERE id = :id", id=user.token_id)
        assert [each.fact for each in anew.a_round()] == ["lost"]  # the rest is unknown


def test_s47_one_unreadable_row_hides_no_other(small: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [a_user(small.server) for _ in range(3)]
    small.a_round()
    small.sql("UPDATE token SET last_step = -5 WHERE id = :id", id=users[2].token_id)
    real = watched_rows.find_facts

    def find_facts(connection: Connection, kind: WatchedKind, keys: list[str]) -> object:
        if users[0].token_id in keys:
            raise ValueError("an intruder stored another type")
        return real(connection, kind, keys)

    monkeypatch.setattr(watched_rows, "find_facts", find_facts)
    found = {(each.key, each.fact) for each in small.a_round()}
    assert found == {(users[0].token_id, "row"), (users[2].token_id, "step")}


@pytest.mark.parametrize("value", ["'x'", "x'00ff'", "1e300", "''"])
def test_s47_any_type_in_a_column_raises_an_alarm(small: Watched, value: str) -> None:
    """SQLite stores any type in any column."""
    user = a_user(small.server)
    small.a_round()
    small.sql(f"UPDATE token SET last_step = {value} WHERE id = :id", id=user.token_id)
    assert [each.fact for each in small.a_round()] == ["step"]
    assert len(small.alarms()) == 1


def test_s47_rounds_take_all_objects_in_turn(small: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    users = [a_user(small.server) for _ in range(6)]
    small.a_round()
    monkeypatch.setattr(watch, "AT_ONCE", 4)
    small.now += 60
    seen: set[str] = set()
    for _ in range(30):
        step = small.second()
        assert len(step.compared) <= 4
        seen |= {key for _, key in step.compared}
        if step.round_ended:
            break
    assert {user.token_id for user in users} | {user.account_id for user in users} <= seen
    assert small.second().compared == {}  # a new round begins later
    small.now += watch.ROUND_SECONDS
    assert small.second().compared


def test_s47_an_error_leaves_nothing_out(small: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    user = a_user(small.server)
    small.sql("UPDATE token SET last_step = -5 WHERE id = :id", id=user.token_id)
    small.chain()

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("the database is busy")

    with monkeypatch.context() as broken:
        broken.setattr(watch, "raise_alarm", refuse)
        with pytest.raises(RuntimeError, match="busy"):
            small.watcher.step(small.now)
    assert small.book.head() is None
    assert [each.fact for each in small.second().differences] == ["step"]
    assert len(small.alarms()) == 1


def test_s47_objects_that_are_over_are_forgotten(small: Watched) -> None:
    a_device(small.server)  # by an invitation, which is used
    small.a_round()
    assert small.book.keys_of(WatchedKind.INVITATION)
    small.now += 40 * 24 * HOUR
    small.a_round()
    assert not small.book.keys_of(WatchedKind.INVITATION)
    assert small.book.keys_of(WatchedKind.DEVICE)


def test_s47_two_watches_raise_the_same_alarm_on_one_line(small: Watched) -> None:
    """Two machines with one database: each has a watch of its own."""
    user = a_user(small.server)
    small.a_round()
    with closing(WatchFile.temporary()) as book:
        other = Watched(small.server, book, small.now, small.checkpoints)
        other.a_round()
        small.sql("UPDATE token SET last_step = -5 WHERE id = :id", id=user.token_id)
        small.now += 60
        other.now = small.now
        small.a_round()
        other.a_round()
    with small.server.database.read() as connection:
        assert [line.times for line in alarms.list_alarms(connection)] == [2]
