"""The real programs, started for a measurement and ended by their process ids."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.story.stage import free_port, is_listening

PROGRAMS = Path(sys.executable).parent
START_SECONDS = 30


@contextmanager
def serving(data: Path, variables: Mapping[str, str]) -> Iterator[int]:
    """`sparekey serve` on loopback; its port."""
    port = free_port()
    log = data.parent / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(PROGRAMS / "sparekey"), "--data", str(data), "serve", "--listen", f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    try:
        patience = time.perf_counter() + START_SECONDS
        while not is_listening(port):
            if process.poll() is not None or time.perf_counter() > patience:
                raise RuntimeError(f"the server did not start; its log ends:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=15)
