"""Devices with a recorded disk and TPM counter, restarted after a power cut at any point."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from sparekey.agent.ground.ports import StoreKeys
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store.device import ThisDevice
from sparekey.agent.store.file_keys import FileKeys
from sparekey.agent.store.key_choice import AUTO, open_keys
from sparekey.agent.store.store import Store
from sparekey.agent.tpm.keys import TpmKeys
from tests.agent.devices import World, on_all_cores
from tests.agent.disk_recorder import RecordingFiles, disks
from tests.swtpm import Swtpm

COMMIT = "increment"


class RecordedTpmKeys(TpmKeys):
    """Keys that mark each commit among the disk's operations, and keep the TPM's state after it."""

    def record(self, files: RecordingFiles, tpm: Swtpm, kept: Path) -> None:
        self._files, self._simulated, self._kept = files, tpm, kept
        kept.mkdir()
        self._keep()

    def committed(self) -> None:
        super().committed()
        self._files.mark(COMMIT)
        self._keep()

    def _keep(self) -> None:
        self._simulated.snapshot(self._kept / str(sum(each.what == COMMIT for each in self._files.log)))


class PowerCuts:
    """Devices that are rebuilt after cuts. `close` stops their TPMs."""

    def __init__(self, directory: Path, tpm: Swtpm | None) -> None:
        self.files = RecordingFiles()
        self._directory = directory
        self._store = directory / "store"
        self._tpm = tpm
        self._at: dict[int, Swtpm] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        self._stack.close()

    def keys(self) -> StoreKeys:
        """Return the keys of the kind under test."""
        if self._tpm is None:
            return FileKeys.create(self._store, self.files)
        keys = RecordedTpmKeys.create(self._store, self.files, self._tpm.tcti)
        keys.record(self.files, self._tpm, self._directory / "tpm")
        return keys

    def disks(self, since: int) -> Iterator[tuple[int, Path]]:
        """Yield the disks of `disk_recorder.disks`. The state of the TPM comes in with `started_again`."""
        return disks(self.files, since, self._store, self._directory / "disks")

    def started_again(self, world: World, disk: Path, length: int) -> World:
        """Return the computer, restarted on the disk after so many operations."""
        files = PosixFiles()
        store = Store.open(disk, files, open_keys(disk, files, self.tcti(length)), world.clock)
        return replace(world, directory=disk, device=ThisDevice(store, world.clock, world.server.connect, on_all_cores))

    def tcti(self, length: int) -> str:
        """Return the TCTI of the TPM as it was then; `AUTO` without a TPM."""
        if self._tpm is None:
            return AUTO
        commits = sum(each.what == COMMIT for each in self.files.log[:length])
        if commits not in self._at:
            self._at[commits] = self._stack.enter_context(Swtpm(self._directory / "tpm" / str(commits)))
        return self._at[commits].tcti
