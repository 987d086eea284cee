"""Files that are checked first and then imported: only the checked file is accepted for import.

The form carries the fingerprint of the file. The server keeps no file in between, because token files contain seeds
(S65).
"""

import hashlib

from sparekey.core.errors import BadInput, Conflict
from sparekey.server.web.fields import Fields, SentFile


def fingerprint(file: SentFile) -> str:
    """Return the fingerprint that the form sends back as `checked`."""
    return hashlib.sha256(file.content).hexdigest()


def verify_checked(form: Fields, file: SentFile) -> None:
    """Verify that this file was checked. Raises BadInput without a check, Conflict for another file."""
    if not form.get("checked"):
        raise BadInput("this file has not been checked yet", "check it first")
    if form.get("checked") != fingerprint(file):
        raise Conflict("this file differs from the one that was checked", "check it again")
