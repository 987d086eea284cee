"""The processes of a server with several: one for each listening socket, replaced when it ends unexpectedly.

Rules:
- The sockets belong to the parent. Connections in the queue of a process that ended wait for its successor.
- Only the parent renews the certificate. At SIGHUP, and after a renewal, the others read it again.
- A process whose parent has gone ends, too, so that no part of a killed server still answers.
"""

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

import structlog

from sparekey.wiring.serving_certificate import RENEWAL_CHECK, RenewedCertificate

Answer = Callable[[Path, socket.socket], None]

_SIGNALS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_PAUSE: Final = 1.0  # seconds before an ended process is replaced
_LAST_SECONDS: Final = 15.0  # for a process to end before it is killed
_log: Final = structlog.get_logger()


def supervise(
    directory: Path,
    listening: Sequence[socket.socket],
    certificate: RenewedCertificate,
    answer: Answer,
    announce: Callable[[], object],
) -> None:
    """Run a process for each socket until SIGTERM or SIGINT. `answer`: a function of a module, which each calls."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        started = [_start(answer, directory, each) for each in listening]
        announce()
        _watch(started, lambda number: _start(answer, directory, listening[number]), certificate)
        _end(started)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(
    started: list[SpawnProcess], restart: Callable[[int], SpawnProcess], certificate: RenewedCertificate
) -> None:
    """Replace processes, and renew the certificate, until a signal asks to end."""
    while True:
        received = signal.sigtimedwait(_SIGNALS, RENEWAL_CHECK)
        number = received.si_signo if received else signal.SIGHUP
        if number in (signal.SIGTERM, signal.SIGINT):
            return
        if number == signal.SIGHUP:
            certificate.look()
            for process in started:
                _send(process, signal.SIGHUP)
        for index, process in enumerate(started):
            if not process.is_alive():
                _log.error("a server process ended, and is replaced", process=process.pid, exit=process.exitcode)
                time.sleep(_PAUSE)
                started[index] = restart(index)


def _end(started: Sequence[SpawnProcess]) -> None:
    for process in started:
        _send(process, signal.SIGTERM)
    for process in started:
        process.join(_LAST_SECONDS)
        if process.is_alive():
            _log.error("a server process did not end, and is killed", process=process.pid)
            process.kill()
            process.join()


def _send(process: SpawnProcess, number: signal.Signals) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, number)


def _start(answer: Answer, directory: Path, listening: socket.socket) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(answer, directory, listening))
    process.start()
    return process


def _run(answer: Answer, directory: Path, listening: socket.socket) -> None:
    """Answer in this process, with its signals as a process has them at its start."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the server listens for it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    answer(directory, listening)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
