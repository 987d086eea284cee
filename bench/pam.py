"""A program that asks PAM, in this process: libpam by ctypes, with a stack of its own; /etc/pam.d is not touched."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SERVICE: Final = "sparekey-bench"
SUCCESS: Final = 0  # _pam_types.h
BUFFER_ERROR: Final = 5
PROMPT_ECHO_OFF: Final = 1


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_TALK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("talk", _TALK), ("data", ctypes.c_void_p))


@dataclass(frozen=True)
class Stack:
    """The module alone, in a stack in `directory`."""

    directory: Path

    @classmethod
    def of(cls, directory: Path, module: Path, socket: Path) -> "Stack":
        (directory / SERVICE).write_text(f"auth required {module} socket={socket}\n", encoding="ascii")
        return cls(directory)

    def authenticate(self, user: str, typed: str) -> bool:
        """Return True if PAM admits this user, who answers every prompt with `typed`. Raises RuntimeError if PAM does
        not start."""
        pam, c = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
        c.strdup.restype = c.calloc.restype = ctypes.c_void_p

        def talk(count: int, messages: Any, responses: Any, _: object) -> int:
            answers = c.calloc(count, ctypes.sizeof(_Response))  # libpam gives it back
            if not answers:
                return BUFFER_ERROR
            responses[0] = ctypes.cast(answers, ctypes.POINTER(_Response))
            for number in range(count):
                if messages[number].contents.style == PROMPT_ECHO_OFF:
                    responses[0][number].text = c.strdup(typed.encode())
            return SUCCESS

        conversation = _Conversation(_TALK(talk), None)
        handle = ctypes.c_void_p()
        names = SERVICE.encode(), user.encode()
        where = str(self.directory).encode()
        started = pam.pam_start_confdir(*names, ctypes.byref(conversation), where, ctypes.byref(handle))
        if started != SUCCESS:
            raise RuntimeError(f"PAM does not start: {started}")
        status = pam.pam_authenticate(handle, 0)
        pam.pam_end(handle, status)
        return bool(status == SUCCESS)
