"""A real server process: TLS from its own CA, a certificate renewed without a pause, its end, its log."""

import json
import os
import signal
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from sparekey.app.audit_log.verification import verify_record
from sparekey.app.instance import Instance
from sparekey.app.ports import KeyPurpose
from sparekey.app.sessions.clients import add_client
from sparekey.clock import monotonic
from sparekey.clock import now as clock_now
from sparekey.core.audit_log.actions import Action
from sparekey.keystore import local_ca
from sparekey.keystore.ca_scope import CaScope
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import checkpoint_store, open_instance
from tests.builders import ROOT, User, a_user, account_row, logged_events
from tests.server.serving import SPAREKEY, Serving, a_data_directory, answers, serving, wait_until

pytestmark = [pytest.mark.services, pytest.mark.real_argon2]


def opened(data: Path) -> Instance:
    return open_instance(data, read_settings(data, {}))


def a_client_and_alice(data: Path) -> tuple[Secret[str], User]:
    instance = opened(data)
    alice = a_user(instance, "alice", now=clock_now())
    key = add_client(instance, ROOT, "web", now=clock_now())
    instance.database.close()
    return key, alice


def test_a_server_answers_over_tls_and_leaves_an_intact_audit_log(tmp_path: Path, database_url: str) -> None:
    data = a_data_directory(tmp_path, database_url if database_url.startswith("postgresql") else "")
    key, alice = a_client_and_alice(data)
    with serving(data, variables={"SPAREKEY_WORKERS": "2"}) as served:
        now = clock_now()
        assert served.sign_in(key, "alice", alice.typed(now).reveal())[1]["result"] == "granted"
        assert served.sign_in(key, "alice", alice.typed(now).reveal())[1]["result"] == "denied"
        assert served.ask("GET", "/ready") == (200, {"status": "ok"})
        assert served.stop() == 0
    instance = opened(data)
    assert len(logged_events(instance, Action.SERVER_STARTED)) == 2  # each of the two processes
    witnesses = checkpoint_store(data).witnesses()
    assert verify_record(instance.database, instance.keystore.public_key(KeyPurpose.CHECKPOINT), witnesses) == []
    assert witnesses[0].total == len(logged_events(instance))
    instance.database.close()
    lines = [json.loads(line) for line in served.log.read_text().splitlines()]  # no terminal: only lines for programs
    assert [line for line in lines if line["level"] not in ("info", "debug")] == []


def test_only_the_ca_s_own_certificate_is_accepted(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    with serving(data) as served:
        connection = served.connect("localhost")
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
        (tmp_path / "other").mkdir()
        local_ca.create_ca(tmp_path / "other", "other", clock_now(), CaScope.around(()))
        with pytest.raises(ssl.SSLCertVerificationError):
            ask_trusting(tmp_path / "other" / local_ca.CA_FILE, served)


def ask_trusting(ca: Path, served: Serving) -> None:
    connection = served.connect()
    connection._context = ssl.create_default_context(cafile=str(ca))  # type: ignore[attr-defined] # another trust
    try:
        connection.connect()
    finally:
        connection.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_renewed_certificate_is_served_without_a_pause(tmp_path: Path, workers: str) -> None:
    data = a_data_directory(tmp_path)
    with serving(data, variables={"SPAREKEY_WORKERS": workers}) as served:
        before, done = served.serial(), threading.Event()
        failures: list[int] = []

        def keep_asking() -> None:
            while not done.is_set():
                if not answers(served):
                    failures.append(len(failures))

        asking = threading.Thread(target=keep_asking)
        asking.start()
        try:
            (data / "keys" / local_ca.SERVER_FILE).unlink()
            os.kill(served.process.pid, signal.SIGHUP)
            # each connection goes to one of the processes
            wait_until(lambda: all(served.serial() != before for _ in range(20)), served)
        finally:
            done.set()
            asking.join()
        assert failures == []


def test_a_killed_process_of_several_is_replaced(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    with serving(data, variables={"SPAREKEY_WORKERS": "2"}) as served:
        first = processes_of(served)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        wait_until(lambda: len(processes_of(served)) == 2 and first[0] not in processes_of(served), served)
        # A connection in the queue of the killed process waits for its successor.
        assert all(answers(served) for _ in range(20))
        assert served.stop() == 0


def test_the_processes_of_a_killed_server_end(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    with serving(data, variables={"SPAREKEY_WORKERS": "2"}) as served:
        processes = processes_of(served)
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait(30)
        patience, pause = monotonic() + 30, threading.Event()
        while any(Path(f"/proc/{process}").exists() for process in processes):
            assert monotonic() < patience
            pause.wait(0.05)


def processes_of(served: Serving) -> list[int]:
    """Return the ids of the answering processes of a server with several."""
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_configured_certificate_is_served(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    own = tmp_path / "own"
    own.mkdir()
    local_ca.create_ca(own, "ours", clock_now(), CaScope.around(()))
    local_ca.renew_server_certificate(own, ["127.0.0.1"], clock_now())
    server, ca = str(own / local_ca.SERVER_FILE), str(own / local_ca.CA_FILE)
    variables = {"SPAREKEY_TLS": "own", "SPAREKEY_CERTIFICATE": server, "SPAREKEY_KEY": server, "SPAREKEY_CA": ca}
    (data / "keys" / "ca.pem").write_bytes(Path(ca).read_bytes())  # the CA that `Serving` trusts
    with serving(data, variables=variables) as served:
        trust = served.ask("GET", "/agent/v1/trust")[1]
        assert bytes.fromhex(trust["ca_certificate"]) == local_ca.read_ca_certificate(Path(ca))


def test_a_second_server_on_the_same_port_is_refused(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    with serving(data) as served:
        command = [str(SPAREKEY), "--data", str(data), "serve", "--listen", f"127.0.0.1:{served.port}", "--json"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 1
        assert json.loads(second.stdout)["error"] == "conflict"
        assert "--listen" in second.stderr
        assert answers(served)


def test_s06_counts_survive_a_crash(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    key, alice = a_client_and_alice(data)
    with serving(data) as served:
        for _ in range(3):
            assert served.sign_in(key, "alice", alice.wrong(clock_now()).reveal())[1]["result"] == "denied"
        served.kill()
    with serving(data) as served:
        for _ in range(2):
            served.sign_in(key, "alice", alice.wrong(clock_now()).reveal())
        assert served.sign_in(key, "alice", alice.typed(clock_now()).reveal())[1]["result"] == "denied"
    instance = opened(data)
    assert account_row(instance, "alice").locked_at is not None
    instance.database.close()


def test_s61_no_reply_names_the_software_of_the_server(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    with serving(data) as served:
        found = set()
        for path in ("/health", "/console", "/nothing", "/v1/users"):
            connection = served.connect()
            connection.request("GET", path)
            found |= {name.lower() for name, _ in connection.getresponse().getheaders()}
            connection.close()
    assert "x-content-type-options" in found
    assert not {"server", "x-powered-by"} & found
