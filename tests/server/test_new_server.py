"""A new server appears whole or not at all, and an existing one is never touched."""

import socket
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from sparekey.app.audit_log.verification import verify_record
from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, Instance
from sparekey.app.people.domains import list_domains
from sparekey.app.policies.policies import list_policies
from sparekey.app.ports import KeyPurpose, KeystoreError
from sparekey.app.server.initialise import initialise
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict
from sparekey.core.networks import SourcePrefixes
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.policy.offline import OfflinePolicy
from sparekey.keystore.local_ca import read_scope
from sparekey.secret import Secret
from sparekey.server.settings import Settings, SettingsError, read_settings
from sparekey.storage import schema
from sparekey.storage.engine import DatabaseUrlError
from sparekey.wiring.doctor import examine
from sparekey.wiring.server import NewServer, ca_file, certificate_names, create_server, open_instance
from sparekey.wiring.serving_certificate import prepare_certificate
from tests.builders import NOW, ROOT, logged_events
from tests.memory_keystore import MemoryKeystore
from tests.shared_statements import open_database


def everything_in(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_a_new_server_can_be_opened(tmp_path: Path, database_url: str) -> None:
    wish = NewServer(Secret(database_url), "127.0.0.1:9999", ("login.example.org",))
    create_server(tmp_path / "data", wish, ROOT, NOW)
    settings = read_settings(tmp_path / "data", {"SPAREKEY_SOURCE_IPV6_PREFIX": "48"})
    assert (settings.listen, settings.names) == (wish.listen, wish.names)
    instance = open_instance(tmp_path / "data", settings)
    assert instance.source_prefixes == SourcePrefixes(32, 48)
    assert [each.name for each in list_domains(instance, ROOT)] == [TOP_DOMAIN]
    (policy,) = list_policies(instance, ROOT, PolicyKind.OFFLINE)
    assert (policy.name, policy.is_default, OfflinePolicy.of(policy.values)) == (DEFAULT_POLICY, True, OfflinePolicy())
    assert [row.actor for row in logged_events(instance, Action.SERVER_INITIALISED)] == [ROOT.name]
    assert verify_record(instance.database, instance.keystore.public_key(KeyPurpose.CHECKPOINT)) == []
    instance.database.close()


def test_the_ca_of_a_new_server_covers_its_domains_and_networks(tmp_path: Path) -> None:
    data, more = tmp_path / "data", ("example.net", "203.0.113.0/24")
    create_server(data, NewServer(Secret(""), "0.0.0.0:8443", ("login.example.org",), more), ROOT, NOW)
    scope = read_scope(ca_file(data, read_settings(data, {})))
    assert scope is not None
    assert {"example.org", "example.net", "localhost"} <= set(scope.domains)
    assert scope.covers("203.0.113.77")
    assert not scope.covers("203.0.114.77")
    for names, fits in ((("second.example.org",), True), (("bank.example",), False)):
        settings = Settings(listen="0.0.0.0:8443", names=names)
        if fits:
            assert prepare_certificate(data, settings, NOW)
            continue
        with pytest.raises(KeystoreError, match=r"may not issue a certificate for bank\.example"):
            prepare_certificate(data, settings, NOW)
        (found,) = [
            each for each in examine(data, {"SPAREKEY_NAMES": "bank.example"}, NOW) if each.what == "certificate"
        ]
        assert (found.ok, "may not issue a certificate for bank.example" in found.words) == (False, True)
    with pytest.raises(BadInput, match="neither a domain nor a network"):
        create_server(tmp_path / "other", NewServer(Secret(""), ca_scope=("203.0.113.7/24",)), ROOT, NOW)
    assert not (tmp_path / "other").exists()


def test_only_the_owner_can_read_the_new_files(tmp_path: Path) -> None:
    create_server(tmp_path / "data", NewServer(Secret("")), ROOT, NOW)
    for path in (tmp_path / "data", *(tmp_path / "data").rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_password_with_odd_characters_comes_back_as_it_was(tmp_path: Path) -> None:
    url = f'sqlite:///{tmp_path}/a "quoted" \\ name \u00e4.db'
    create_server(tmp_path / "data", NewServer(Secret(url)), ROOT, NOW)
    assert read_settings(tmp_path / "data", {}).database == Secret(url)


def test_an_existing_server_is_refused_and_untouched(tmp_path: Path) -> None:
    create_server(tmp_path / "data", NewServer(Secret("")), ROOT, NOW)
    before = everything_in(tmp_path)
    with pytest.raises(Conflict, match="holds a server already") as refused:
        create_server(tmp_path / "data", NewServer(Secret("")), ROOT, NOW)
    assert f"delete the contents of {tmp_path / 'data'} and run the command again" in refused.value.do
    assert everything_in(tmp_path) == before


def test_an_existing_database_is_refused_and_nothing_is_left(tmp_path: Path, database_url: str) -> None:
    create_server(tmp_path / "one", NewServer(Secret(database_url)), ROOT, NOW)
    with pytest.raises(Conflict, match="already holds a Sparekey server"):
        create_server(tmp_path / "two", NewServer(Secret(database_url)), ROOT, NOW)
    assert not (tmp_path / "two").exists()
    open_instance(tmp_path / "one", read_settings(tmp_path / "one", {})).database.close()


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (NewServer(Secret("mysql://db/x")), DatabaseUrlError),
        (NewServer(Secret("nonsense")), DatabaseUrlError),
        (NewServer(Secret("sqlite://")), BadInput),
        (NewServer(Secret("sqlite:////nowhere/at/all.db")), OSError),
        (NewServer(Secret(""), "nowhere"), SettingsError),
        (NewServer(Secret(""), names=("a b",)), SettingsError),
    ],
)
def test_impossible_options_leave_no_server(tmp_path: Path, wish: NewServer, error: type[Exception]) -> None:
    with pytest.raises(error):
        create_server(tmp_path / "data", wish, ROOT, NOW)
    assert everything_in(tmp_path) == {}
    assert not (tmp_path / "data").exists()


def test_a_database_that_does_not_answer_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"postgresql://nobody:canary@127.0.0.1:{taken.getsockname()[1]}/none"
        with pytest.raises(SQLAlchemyError):
            create_server(tmp_path / "data", NewServer(Secret(url)), ROOT, NOW)
    assert not (tmp_path / "data").exists()


def test_an_existing_directory_keeps_its_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes").write_text("keep")
    with pytest.raises(DatabaseUrlError):
        create_server(tmp_path / "data", NewServer(Secret("mysql://x/y")), ROOT, NOW)
    assert everything_in(tmp_path) == {str(tmp_path / "data" / "notes"): b"keep"}
    create_server(tmp_path / "data", NewServer(Secret("")), ROOT, NOW)


def test_a_file_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(BadInput, match="no directory"):
        create_server(tmp_path / "data", NewServer(Secret("")), ROOT, NOW)
    with pytest.raises(BadInput, match="cannot make"):
        create_server(tmp_path / "no" / "such", NewServer(Secret("")), ROOT, NOW)


class NoKeystore(MemoryKeystore):
    def wrap(self, key: bytes, context: bytes) -> bytes:  # noqa: ARG002 -- it fails whatever it is given
        raise KeystoreError("the keystore is gone; bring it back")


def test_a_failure_half_way_leaves_an_empty_database(database_url: str) -> None:
    database = open_database(database_url)
    with pytest.raises(KeystoreError):
        initialise(database, NoKeystore(), ROOT, NOW)
    assert schema.current(database.engine) is None
    initialise(database, MemoryKeystore(), ROOT, NOW)
    with pytest.raises(Conflict):
        initialise(database, MemoryKeystore(), ROOT, NOW)
    database.close()


def test_the_certificate_names_every_address_of_the_server() -> None:
    names = certificate_names(Settings(listen="192.0.2.1:8443", names=("login.example.org",)))
    assert {"192.0.2.1", "login.example.org", "localhost", "127.0.0.1", "::1"} <= names
    assert "0.0.0.0" not in certificate_names(Settings(listen="0.0.0.0:8443"))


def test_an_instance_seals_on_threads(tmp_path: Path) -> None:
    create_server(tmp_path / "data", NewServer(Secret("")), ROOT, NOW)
    instance: Instance = open_instance(tmp_path / "data", read_settings(tmp_path / "data", {}))
    assert list(instance.run(lambda number: number * number, range(5))) == [0, 1, 4, 9, 16]
    instance.database.close()
