"""The device's log of unexpected errors: type and place, never the message, which may contain a passcode (S65)."""

import logging
import traceback
from typing import Final

_DEEPEST: Final = 8
_log = logging.getLogger(__name__)


def log_unforeseen(what: str, error: BaseException) -> None:
    """Log one line with the innermost places of the error's traceback."""
    frames = traceback.extract_tb(error.__traceback__)[-_DEEPEST:]
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
    _log.error("%s: %s at %s", what, type(error).__qualname__, places)
