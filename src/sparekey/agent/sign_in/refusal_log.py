"""The agent's log of refused sign-ins: the account, the program's user, the answer, and where to find the reason.

- It contains nothing that was typed. An account is named only if this computer or its configuration knows it, because
  people type passcodes where a name belongs (S65).
- It contains only what the answer said. The server alone knows more, in its audit log.
- It cannot fill the journal: for each account and asker, and for each asker in total, a few lines a minute are written
  and the rest are counted. The same holds for frames that are no requests.
- A remote user and the console are different askers, although a program of root's asks for both.
"""

import logging
import shlex
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from sparekey.agent.ground.outcome import LoginAnswer, Mode, RefusalReason, Result, printable
from sparekey.agent.platform.posix import has_account
from sparekey.agent.store.device import ThisDevice
from sparekey.core.plurals import counted

MOST_A_MINUTE: Final = 10  # lines about one account, for each asker
MOST_OF_ASKER: Final = 40  # lines in all: a user can name every account of the computer
_MINUTE: Final = 60
_BAD_FRAME: Final = "a request that is no frame"
_log = logging.getLogger(__name__)


class RefusalLog:
    """The log of refused sign-ins of one daemon, for all its connections."""

    def __init__(self, device: ThisDevice) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._minute = 0
        self._refused: Counter[tuple[str, str]] = Counter()
        self._written: Counter[tuple[str, str]] = Counter()
        self._lines: Counter[str] = Counter()

    def note(self, account: str, person: int, answer: LoginAnswer, *, remote: bool = False) -> None:
        """Log a refused sign-in. `person` is the uid behind the program that asked, 0 at a login screen.

        Successes are not logged, nor are challenges that lead to one.
        """
        if answer.result not in (Result.GRANTED, Result.ASK):
            told = " ".join(filter(None, (answer.mode.value, answer.reason.value)))
            asker = f"uid {person} over the network" if remote else f"uid {person}"
            self._write(account, asker, told, lambda login: _where_to_look(login, answer))

    def note_not_allowed(self, account: str, person: int) -> None:
        """Log that a user asked for the account of another user. Nothing was tried."""
        self._write(account, f"uid {person}", "not-allowed", lambda _: "only root can sign in another user")

    def note_bad_frame(self, person: int, why: str) -> None:
        """Log that a program sent bytes that are no frame; `why` contains none of them."""
        asker = f"uid {person}"
        if self._is_to_be_written(_BAD_FRAME, asker):
            _log.warning("refused: %s, sent by %s: %s", _BAD_FRAME, asker, why)

    def _write(self, account: str, asker: str, told: str, add: Callable[[str | None], str]) -> None:
        known = self._is_known(account)
        who = account if known else "an account that does not exist on this computer"
        if self._is_to_be_written(who, asker):
            login = self._device.names.find_login(account) if known else None
            _log.info("refused: %s, asked by %s: %s; %s", who, asker, told, add(login))

    def _is_known(self, account: str) -> bool:
        try:
            return printable(account) == account and (account in self._device.names.mapped or has_account(account))
        except ValueError:  # no account can have this name
            return False

    def _is_to_be_written(self, who: str, asker: str) -> bool:
        minute = self._device.clock.reading().monotonic // _MINUTE
        with self._lock:
            if minute != self._minute:
                self._begin(minute)
            self._refused[who, asker] += 1
            is_written = self._written[who, asker] < MOST_A_MINUTE and self._lines[asker] < MOST_OF_ASKER
            self._written[who, asker] += is_written
            self._lines[asker] += is_written
            return is_written

    def _begin(self, minute: int) -> None:
        told, others = Counter[str](), Counter[str]()
        for (who, asker), number in self._refused.items():
            left = number - self._written[who, asker]
            if left and told[asker] < MOST_A_MINUTE:
                told[asker] += 1
                more = counted(left, "more time")
                _log.info("refused: %s, asked by %s: %s within that minute", who, asker, more)
            else:
                others[asker] += left
        for asker, left in (+others).items():
            _log.info("refused: other accounts, asked by %s: %s", asker, counted(left, "more time"))
        self._minute = minute
        for counts in (self._refused, self._written, self._lines):
            counts.clear()


def _where_to_look(login: str | None, answer: LoginAnswer) -> str:
    here_alone = answer.mode is Mode.NONE or answer.reason is RefusalReason.NOT_MAPPED
    if answer.result is Result.UNAVAILABLE or here_alone:
        return "see sparekey-agent doctor"
    about = "" if login is None else f" --user {shlex.quote(printable(login))}"
    later = ", after the next contact of this device" if answer.mode is Mode.OFFLINE else ""
    return f"see sparekey audit list{about} on the server{later}"
