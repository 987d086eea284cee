"""A syslog message (RFC 5424) with one event, and its frame in a stream (RFC 5425).

Rules: everything is printable ASCII, so that no field or message contains the end of a line or a frame; a message is
not longer than receivers must accept.
"""

from enum import IntEnum
from typing import Final

from sparekey.core.audit_log.actions import OK
from sparekey.core.audit_log.export import ExportedEvent, timestamp

LONGEST: Final = 8_192  # octets of a message that a receiver should process (RFC 5425 section 4.3.1)
_LOG_AUDIT: Final = 13  # facility (RFC 5424 section 6.2.1)
_NIL: Final = "-"


class Severity(IntEnum):
    """The severities of RFC 5424 section 6.2.1 that are used."""

    ALERT = 1  # action must be taken: an alarm
    NOTICE = 5  # a refusal
    INFORMATIONAL = 6


def severity(event: ExportedEvent) -> Severity:
    """Return the severity of an event."""
    if event.is_alarm:
        return Severity.ALERT
    return Severity.INFORMATIONAL if event.row.result == OK else Severity.NOTICE


def message(event: ExportedEvent, host: str) -> bytes:
    """Return PRI VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG, with the event's JSON as MSG."""
    priority = _LOG_AUDIT * 8 + severity(event)
    head = " ".join(
        (
            f"<{priority}>1",
            timestamp(event.row.at),
            _field(host, 255),
            "sparekey",
            _NIL,
            _field(event.row.action, 32),
            _NIL,
        )
    )
    return f"{head} {event.as_json(LONGEST - len(head) - 1)}".encode("ascii")


def framed(message: bytes) -> bytes:
    """Return the frame of a message: MSG-LEN SP SYSLOG-MSG (RFC 5425 section 4.3)."""
    return str(len(message)).encode("ascii") + b" " + message


def _field(text: str, longest: int) -> str:
    """Return a field in PRINTUSASCII; NILVALUE for an empty text (RFC 5424 section 6)."""
    return "".join(character if "!" <= character <= "~" else "?" for character in text[:longest]) or _NIL
