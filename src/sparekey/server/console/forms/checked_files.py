"""A file that is looked at first and imported then: only the one that was checked, which is chosen once more.

No file is kept in between, for one of tokens holds seeds (S65): its fingerprint goes with the form instead.
"""

import hashlib

from sparekey.core.errors import BadInput, Conflict
from sparekey.server.web.fields import Fields, SentFile


def fingerprint(file: SentFile) -> str:
    """What the form brings back as `checked`."""
    return hashlib.sha256(file.content).hexdigest()


def verify_checked(form: Fields, file: SentFile) -> None:
    """Raises BadInput for a file that was not checked, Conflict for another one than was."""
    if not form.get("checked"):
        raise BadInput("this file has not been checked yet", "check it first")
    if form.get("checked") != fingerprint(file):
        raise Conflict("this file differs from the one that was checked", "check it again")
