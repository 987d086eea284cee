"""Logs: one JSON object a line on standard error.

Rules (S65):
- A value of type Secret is masked. So is any value under a name that secrets have.
- Bytes are never written.
- No module logs the body of a request.
"""

import logging
import logging.config
import sys
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from sparekey.secret import Secret

REFUSED: Final = "***"
SECRET_NAMES: Final = frozenset(
    (
        "authorization",
        "body",
        "code",
        "codes",
        "key",
        "offline_key",
        "passcode",
        "password",
        "pin",
        "secret",
        "seed",
        "typed",
        "database",
        "url",
    )
)


def refuse_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace every secret by `***`, at any depth. A structlog processor."""
    return {name: _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: object) -> object:
    if name.lower() in SECRET_NAMES or isinstance(value, Secret | bytes | bytearray | memoryview):
        return REFUSED
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", character) for character in value]
    return value if isinstance(value, str | int | float | bool | None) else type(value).__name__


_PROCESSORS: Final[tuple[Callable[[WrappedLogger, str, EventDict], EventDict], ...]] = (
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    refuse_secrets,
)


class JsonFormatter(logging.Formatter):
    """Format messages of other packages, without their exceptions, which may contain secrets."""

    def format(self, record: logging.LogRecord) -> str:
        event: EventDict = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info and record.exc_info[0]:
            event["kind"] = record.exc_info[0].__qualname__
        for processor in _PROCESSORS:
            event = processor(None, record.levelname.lower(), event)
        return str(structlog.processors.JSONRenderer()(None, "", event))


def logging_config(level: str) -> dict[str, object]:
    """Return the configuration for logging.config.dictConfig: all lines go to standard error."""
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "json"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "sparekey.server.logs.JsonFormatter"}},
        "handlers": {"stderr": handler},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        # Its lines about single connections would let any host fill the log.
        "loggers": {"uvicorn.error": {"level": "DEBUG" if level == "debug" else "WARNING"}},
    }


def configure(level: str) -> None:
    """Set up the log of this process."""
    structlog.configure(
        processors=[*_PROCESSORS, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.config.dictConfig(logging_config(level))
