"""The device's log of what was not foreseen: type and place, never the words, which may hold what was typed (S65)."""

import logging
import traceback
from typing import Final

_DEEPEST: Final = 8
_log = logging.getLogger(__name__)


def log_unforeseen(what: str, error: BaseException) -> None:
    """One line with the innermost places that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)[-_DEEPEST:]
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    _log.error("%s: %s at %s", what, type(error).__qualname__, places)
