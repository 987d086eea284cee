"""S09 at the server's interfaces: every error on the way denies, and the refusal looks like any other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from sparekey.app.instance import Instance
from sparekey.app.vault import Vault, VaultError
from sparekey.core.audit_log.actions import Action
from sparekey.core.row_seals import RowSeals
from sparekey.secret import Secret
from sparekey.server.application import create_application
from sparekey.storage import tables
from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.unit_of_work import Database
from tests.builders import NOW, PIN, Device, User, a_device, a_user, logged_events, token_row
from tests.server.asgi import Reply
from tests.server.interfaces import Interfaces, is_granted, make_administrator, run


class BrokenDatabase(Database):
    """The real database, except that it fails when a sign-in is decided; the client is still found."""

    def __init__(self, real: Database, *, read: Exception | None = None, commit: Exception | None = None) -> None:
        super().__init__(real.engine)
        self._real, self._read_error, self._commit_error = real, read, commit

    @property
    def seals(self) -> RowSeals:
        return self._real.seals

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._real.read() as connection:
            self._fail_to_read()
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        with self._real.glance() as connection:
            self._fail_to_read()
            yield connection

    def _fail_to_read(self) -> None:
        if self._read_error and _is_judging():
            raise self._read_error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._real.write() as connection:
            yield connection
            if self._commit_error and _is_judging():
                raise self._commit_error


def _is_judging() -> bool:
    return threading.current_thread().name.startswith(("sign-in", "session", "self-service"))


class BrokenVault(Vault):
    """The real one, but that it opens or seals nothing."""

    def __init__(self, real: Vault, *, opens: bool = True, seals: bool = True) -> None:
        self._real, self._opens, self._seals = real, opens, seals

    def open(self, column: str, row_id: str, owner: str, ciphertext: bytes) -> Secret[bytes]:
        if not self._opens:
            raise VaultError
        return self._real.open(column, row_id, owner, ciphertext)

    def seal(self, column: str, row_id: str, owner: str, plaintext: bytes) -> bytes:
        if not self._seals:
            raise MemoryError
        return self._real.seal(column, row_id, owner, plaintext)


DAMAGES: dict[str, Callable[[Instance], Instance]] = {
    "the vault cannot open": lambda it: replace(it, vault=BrokenVault(it.vault, opens=False)),
    "reading fails": lambda it: replace(it, database=BrokenDatabase(it.database, read=RuntimeError("PIN 4711"))),
    "committing fails": lambda it: replace(it, database=BrokenDatabase(it.database, commit=RuntimeError("no"))),
    "no memory": lambda it: replace(it, database=BrokenDatabase(it.database, read=MemoryError())),
}


def damaged(interfaces: Interfaces, damage: Callable[[Instance], Instance]) -> Interfaces:
    """Return the same interfaces over a damaged instance."""
    service = replace(interfaces.service, instance=damage(interfaces.instance))
    return replace(interfaces, service=service, app=create_application(service))


def each_interface(interfaces: Interfaces, device: Device, user: User, typed: str) -> list[Reply]:
    asked = (
        interfaces.rest(user.login, typed),
        interfaces.sign_in(device, user.login, typed),
        interfaces.session(user.login, typed),
        interfaces.console(user.login, typed),
        interfaces.self_service(user.login, typed),
    )
    return [run(each) for each in asked]


def looks(replies: list[Reply]) -> list[tuple[object, ...]]:
    return [(reply.status, reply.headers, reply.body) for reply in replies]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_s09_every_failure_denies(interfaces: Interfaces, damage: Callable[[Instance], Instance]) -> None:
    alice, device = a_user(interfaces.instance, pin=PIN), a_device(interfaces.instance)
    make_administrator(interfaces.instance, alice.login)
    typed = alice.typed(NOW).reveal()
    bob = a_user(interfaces.instance, pin=PIN)
    make_administrator(interfaces.instance, bob.login)
    usual = each_interface(interfaces, device, bob, "9" + typed[1:])
    replies = each_interface(damaged(interfaces, damage), device, alice, typed)
    assert looks(replies) == looks(usual)
    assert [row.result for row in logged_events(interfaces.instance, Action.SIGN_IN_DENIED)][5:] == [
        "internal-error"
    ] * 5
    assert is_granted(run(interfaces.rest(alice.login, typed)))  # nothing was used up


def test_s09_a_failing_hash_grants_nothing(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance, pin=PIN), a_device(interfaces.instance)
    make_administrator(interfaces.instance, alice.login)
    with interfaces.instance.database.write() as connection:
        update_rows(connection, tables.token, [], {"pin_passes": 0})
    for reply in each_interface(interfaces, device, alice, alice.typed(NOW).reveal()):
        assert (reply.status, reply.json["result"]) == (200, "denied")


def test_s09_no_audit_no_accept(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance), a_device(interfaces.instance)
    make_administrator(interfaces.instance, alice.login)
    typed = alice.typed(NOW).reveal()
    with interfaces.instance.database.write() as connection:
        connection.execute(text("CREATE TRIGGER b BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"))
    for reply in each_interface(interfaces, device, alice, typed):
        assert (reply.status, reply.json["result"]) == (200, "denied")
    with interfaces.instance.database.write() as connection:
        connection.execute(text("DROP TRIGGER b"))
    assert is_granted(run(interfaces.rest(alice.login, typed)))


def test_s09_a_success_fails_if_its_device_data_cannot_be_sealed(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance, pin=PIN), a_device(interfaces.instance)
    broken = damaged(interfaces, lambda it: replace(it, vault=BrokenVault(it.vault, seals=False)))
    typed = alice.typed(NOW).reveal()
    assert not is_granted(run(broken.sign_in(device, alice.login, typed)))
    assert token_row(interfaces.instance, alice.serial).last_step < alice.step(NOW)
    assert is_granted(run(interfaces.sign_in(device, alice.login, typed)))


UNREACHABLE = OperationalError("SELECT 1", {}, OSError("connection refused"))


@pytest.mark.parametrize("login", ["alice", "nobody"])
def test_s09_without_a_database_there_is_no_answer_for_anyone(interfaces: Interfaces, login: str) -> None:
    alice, device = a_user(interfaces.instance, "alice"), a_device(interfaces.instance)
    make_administrator(interfaces.instance, alice.login)
    broken = damaged(interfaces, lambda it: replace(it, database=BrokenDatabase(it.database, read=UNREACHABLE)))
    for reply in each_interface(broken, device, replace(alice, login=login), alice.typed(NOW).reveal()):
        assert (reply.status, "the server is temporarily unavailable" in reply.body.decode().lower()) == (503, True)
        assert "SELECT" not in reply.body.decode()


def test_s09_a_failing_clock_grants_nothing(interfaces: Interfaces) -> None:
    alice, device = a_user(interfaces.instance), a_device(interfaces.instance)
    make_administrator(interfaces.instance, alice.login)

    def no_clock() -> int:
        raise OSError("no clock")

    service = replace(interfaces.service, now=no_clock)
    broken = replace(interfaces, service=service, app=create_application(service))
    for reply in each_interface(broken, device, alice, alice.typed(NOW).reveal()):
        assert (reply.status, "an internal error occurred" in reply.body.decode().lower()) == (500, True)
