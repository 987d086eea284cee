"""A TPM in software (swtpm) for one test, with its own socket and the mishaps of real ones.

It has no resource manager and takes one connection at a time, as the worst of real devices.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from sparekey.agent.ground.ports import LockedOut, WrongPin
from sparekey.agent.tpm.chip import Tpm
from sparekey.secret import Secret

PATIENCE = 20  # seconds
MOST_TRIES = 40


class Swtpm:
    """Runs from `with` to its end; `tcti` is how programs reach it. `contents`: as another one was (`snapshot`)."""

    def __init__(self, contents: Path | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="swtpm-"))  # a socket's path is short
        self._state = self._directory / "state"
        if contents is None:
            self._state.mkdir()
        else:
            shutil.copytree(contents, self._state)
        self._process: subprocess.Popen[bytes] | None = None
        self._lockout_password = ""

    @property
    def tcti(self) -> str:
        return f"swtpm:path={self._directory / 'tpm'}"

    def __enter__(self) -> "Swtpm":
        try:
            self.switch_on()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.switch_off()
        shutil.rmtree(self._directory)

    def switch_on(self) -> None:
        data, control = self._directory / "tpm", self._directory / "tpm.ctrl"
        line = ["setpriv", "--pdeathsig", "KILL"]  # a test run that is killed leaves none behind
        line += ["swtpm", "socket", "--tpm2", "--flags", "not-need-init,startup-clear"]
        line += ["--tpmstate", f"dir={self._state}"]
        line += ["--server", f"type=unixio,path={data}", "--ctrl", f"type=unixio,path={control}"]
        self._process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE
        while not (_listens(data) and _listens(control)):
            assert self._process.poll() is None, "swtpm has ended"
            assert time.monotonic() < until, "swtpm does not listen"
            time.sleep(0.005)

    def switch_off(self) -> None:
        """Switch the TPM off without a shutdown, like a pulled plug."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
        for name in ("tpm", "tpm.ctrl"):
            (self._directory / name).unlink(missing_ok=True)

    def reset(self) -> None:
        """The computer is started again."""
        self.switch_off()
        self.switch_on()

    def replace(self) -> None:
        """Replace the board: a TPM that was never seen before answers instead."""
        self.switch_off()
        shutil.rmtree(self._state)
        self._state.mkdir()
        self.switch_on()

    def snapshot(self, to: Path) -> None:
        """Copy its present state, counters included. A real TPM never gives that out."""
        shutil.copytree(self._state, to)

    def clear(self) -> None:
        """Clear it, like "clear TPM" in the firmware's setup."""
        self.tool("tpm2_clear", "-c", "lockout", *filter(None, [self._lockout_password]))
        self._lockout_password = ""

    def set_owner_password(self, password: str) -> None:
        self.tool("tpm2_changeauth", "-c", "owner", password)

    def set_lockout_password(self, password: str) -> None:
        self.tool("tpm2_changeauth", "-c", "lockout", password)
        self._lockout_password = password

    def fill(self) -> None:
        """Fill the memory for other programs' data completely."""
        with Tpm(self.tcti).visit() as visit:
            library, esys, index = visit._library, visit._esys, 0x01500000
            plain = library.TPMA_NV.parse("authread|authwrite")
            counter = plain | library.TPM2_NT.COUNTER << library.TPMA_NV.TPM2_NT_SHIFT
            for kind, size in ((plain, 2048), (plain, 256), (plain, 32), (plain, 1), (counter, 8)):
                with contextlib.suppress(library.TSS2_Exception):
                    while True:
                        index += 1
                        area = library.TPMS_NV_PUBLIC(
                            nvIndex=index,
                            nameAlg=library.TPM2_ALG.SHA256,
                            attributes=kind,
                            dataSize=size,
                        )
                        esys.nv_define_space(b"", library.TPM2B_NV_PUBLIC(nvPublic=area))

    def lock_out(self) -> None:
        """Try PINs on another object until the TPM is locked out."""
        tpm, wrong = Tpm(self.tcti), Secret(bytes(31) + b"w")
        with tpm.visit() as visit:
            visit.find_parent()
            theirs = visit.seal_locked(Secret(b"theirs"), Secret(bytes(31) + b"r"))
            for _ in range(MOST_TRIES):
                try:
                    visit.unseal_locked(theirs, wrong)
                except WrongPin:
                    continue
                except LockedOut:
                    return
        raise AssertionError("no lockout")

    def tool(self, *line: str) -> str:
        """Run one of the tpm2-tools and return its output."""
        environment = os.environ | {"TPM2TOOLS_TCTI": self.tcti}
        return subprocess.run(
            line, check=True, capture_output=True, text=True, timeout=PATIENCE, env=environment
        ).stdout


def _listens(path: Path) -> bool:
    """Return True if the socket listens: it may exist before that."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
