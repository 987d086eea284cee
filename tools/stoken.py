"""SecurID-type codes and files by Debian's `stoken`: an implementation that is not ours, to check ours against.

Rules: for tests and benches only, for it takes a password as a process argument.
"""

import re
import shutil
import subprocess
from pathlib import Path

TEMPLATE = """<?xml version="1.0"?>
<TKNBatch>
  <TKNHeader>
    <Origin>Example</Origin><Dest>Somebody</Dest><Name>{name}</Name>
    <DefDeath>{death}</DefDeath><DefDigits>{digits}</DefDigits><DefInterval>{interval}</DefInterval>
    <DefAddPIN>{add_pin:d}</DefAddPIN><DefLocalPIN>{local_pin:d}</DefLocalPIN>
  </TKNHeader>
  <TKN><SN>{serial}</SN></TKN>
</TKNBatch>
"""


def issue(
    directory: Path,
    serial: str = "000123456789",
    *,
    digits: int = 8,
    interval: int = 60,
    death: str = "2037/12/31",
    name: str = "Batch",
    add_pin: bool = True,
    local_pin: bool = False,
    password: str = "",
) -> Path:
    """A new `.sdtid` file of one token with a random seed. Errors as for `tokencode`."""
    template = directory / f"{serial}.template"
    values = {"digits": digits, "interval": interval, "death": death, "name": name, "serial": serial}
    template.write_text(TEMPLATE.format(**values, add_pin=add_pin, local_pin=local_pin))
    made = directory / f"{serial}.sdtid"
    made.write_text(_stoken("issue", f"--template={template}", *([f"--new-password={password}"] if password else [])))
    return made


def export(directory: Path, serial: str = "export") -> Path:
    """A `.sdtid` file of a random token, as `stoken export` writes it."""
    made = directory / f"{serial}.sdtid"
    made.write_text(_stoken("export", "--random", "--sdtid", "--batch"))
    return made


def tokencode(file: Path, at: int, *, password: str = "") -> str:
    """The code at `at` (unix seconds), without a PIN.

    Raises FileNotFoundError when stoken is missing, subprocess.CalledProcessError when it refuses.
    """
    secret = [f"--password={password}"] if password else []
    return _stoken("tokencode", f"--file={file}", f"--use-time={at}", "--pin=0000", "--force", "--batch", *secret)


def seed(file: Path, *, password: str = "") -> bytes:
    """The seed that stoken finds in the file. Errors as for `tokencode`."""
    secret = [f"--password={password}"] if password else []
    shown = _stoken("show", f"--file={file}", "--seed", "--batch", *secret)
    match = re.search(r"^Decrypted seed\s*:\s*([0-9a-f ]+)$", shown, re.MULTILINE)
    assert match is not None, shown
    return bytes.fromhex(match[1])


def _stoken(*arguments: str) -> str:
    program = shutil.which("stoken")
    if program is None:
        raise FileNotFoundError("stoken is missing: install the Debian package `stoken`")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()
