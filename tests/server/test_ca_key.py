"""The CA's key, kept by a process of its own: no process that answers requests can read it."""

import os
import pwd
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from cryptography import x509

from sparekey.app.ports import KeystoreError
from sparekey.clock import now as clock_now
from sparekey.keystore import local_ca
from sparekey.keystore.ca_scope import CaScope
from sparekey.secret import Secret
from sparekey.server.settings import Settings
from sparekey.wiring.serving_certificate import prepare_certificate
from tests.server.serving import Serving, a_data_directory, serving, wait_until

pytestmark = [
    pytest.mark.services,
    pytest.mark.real_argon2,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root reads the memory of other processes"),
]


def processes_of(served: Serving) -> dict[int, int]:
    """Return the processes below the server's command, each with its parent."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
            except OSError:
                continue
    found = {served.process.pid: 0}
    while more := {pid: parent for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def holds(pid: int, secret: bytes) -> bool:
    """Return True if the memory of a process has these bytes."""
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, mode = line.split()[:2]
            start, end = (int(each, 16) for each in area.split("-"))
            if not mode.startswith("rw"):
                continue
            memory.seek(start)
            try:
                if secret in memory.read(end - start):
                    return True
            except OSError:
                continue
    return False


def test_no_process_that_answers_has_the_key_and_the_certificate_is_renewed(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    kept, keys = tmp_path / "ca-key.pem", data / "keys"
    (keys / local_ca.CA_KEY_FILE).rename(kept)
    secret = b"".join(kept.read_bytes().splitlines()[1:2])  # a line of it, as every copy has it
    with kept.open("rb") as key, serving(data, more=["--ca-key-stdin"], stdin=key.fileno()) as served:
        before = served.serial()
        (keys / local_ca.SERVER_FILE).unlink()
        os.kill(served.process.pid, signal.SIGHUP)
        wait_until(lambda: served.serial() != before, served)
        processes = processes_of(served)
        holders = [pid for pid in processes if holds(pid, secret)]
        assert len(processes) >= 2  # the one that answers, and the one that holds the key
        assert (len(holders), served.process.pid in holders) == (1, False)
        assert all(
            os.path.realpath(f"/proc/{pid}/fd/0") != str(kept) for pid in processes if Path(f"/proc/{pid}").exists()
        )
        children = [pid for pid, parent in processes.items() if parent == holders[0]]
        assert children == []
        served.stop()
        assert not any(Path(f"/proc/{pid}/mem").exists() for pid in holders)


def test_the_certificate_is_for_the_address_of_the_command_line(tmp_path: Path) -> None:
    data, kept = a_data_directory(tmp_path), tmp_path / "ca-key.pem"
    (data / "keys" / local_ca.CA_KEY_FILE).rename(kept)
    script = """
        import os, sys
        from dataclasses import replace
        from pathlib import Path
        from sparekey.server.settings import read_settings
        from sparekey.wiring.serving import hold_ca_key

        data = Path(sys.argv[1])
        settings = replace(read_settings(data, os.environ), listen="127.9.9.9:8443")
        with hold_ca_key(data, settings, sys.stdin.fileno()) as signer:
            signer.renew()
            assert sys.stdin.read() == ""
    """
    with kept.open("rb") as key:
        line = [sys.executable, "-c", textwrap.dedent(script), str(data)]
        subprocess.run(line, stdin=key, timeout=60, check=True)
    made = x509.load_pem_x509_certificates((data / "keys" / local_ca.SERVER_FILE).read_bytes())[0]
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "127.9.9.9" in {str(name.value) for name in names}


def test_without_the_key_a_certificate_is_served_until_it_is_due(tmp_path: Path) -> None:
    data, settings = a_data_directory(tmp_path), Settings()
    (data / "keys" / local_ca.CA_KEY_FILE).unlink()
    now = clock_now()
    assert prepare_certificate(data, settings, now)
    with pytest.raises(KeystoreError, match=r"holds no key of the CA; .*--ca-key-stdin"):
        prepare_certificate(data, settings, now + 61 * 86_400)


def test_a_key_of_another_ca_certifies_nothing(tmp_path: Path) -> None:
    data = a_data_directory(tmp_path)
    local_ca.create_ca(tmp_path, "other", clock_now(), CaScope.around(()))
    other = Secret((tmp_path / local_ca.CA_KEY_FILE).read_bytes())
    before = (data / "keys" / local_ca.SERVER_FILE).read_bytes()
    with pytest.raises(KeystoreError, match="standard input holds another key than that of the CA"):
        local_ca.renew_server_certificate(data / "keys", ["localhost"], clock_now(), (), other)
    assert (data / "keys" / local_ca.SERVER_FILE).read_bytes() == before


def test_the_memory_of_the_holder_is_closed_to_its_own_user() -> None:
    """Other processes of the server's user cannot read it; without that, they can."""
    script = """
        import ctypes, os, sys
        from sparekey.keystore.own_memory import shut_memory

        def reads(pid):
            asker = os.fork()
            if asker == 0:
                os.setuid(UID)
                try:
                    open(f"/proc/{pid}/mem", "rb").close()
                    os._exit(0)
                except PermissionError:
                    os._exit(1)
            return os.waitstatus_to_exitcode(os.waitpid(asker, 0)[1]) == 0

        for shut in (False, True):
            ready, tell = os.pipe()
            holder = os.fork()
            if holder == 0:
                os.setuid(UID)
                ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a program that a service manager has started as this user
                if shut:
                    shut_memory()
                os.write(tell, b"x")
                import time
                time.sleep(60)
            os.read(ready, 1)
            print("read" if reads(holder) else "refused")
            os.kill(holder, 9)
            os.waitpid(holder, 0)
    """
    code = textwrap.dedent(script).replace("UID", str(pwd.getpwnam("nobody").pw_uid))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["read", "refused"]
