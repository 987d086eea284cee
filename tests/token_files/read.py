"""Reading a file of tokens in a test: the results by kind."""

from sparekey.secret import Secret
from sparekey.token_files import RefusedEntry, TokenEntry, read_token_file

NOW = 1_800_000_000


def items(data: bytes | str, password: str | None = None, now: int = NOW) -> list[TokenEntry | RefusedEntry]:
    content = data if isinstance(data, bytes) else data.encode()
    return list(read_token_file(content, None if password is None else Secret(password), now).items)


def records(data: bytes | str, password: str | None = None, now: int = NOW) -> list[TokenEntry]:
    """The records of a file without refusals."""
    found = items(data, password, now)
    assert [each for each in found if isinstance(each, RefusedEntry)] == []
    return [each for each in found if isinstance(each, TokenEntry)]


def record(data: bytes | str, password: str | None = None) -> TokenEntry:
    """The only record of a file."""
    (only,) = records(data, password)
    return only


def refusal(data: bytes | str, password: str | None = None) -> RefusedEntry:
    """The only refusal of a file that has nothing else."""
    (only,) = items(data, password)
    assert isinstance(only, RefusedEntry), only
    return only


def seeds(data: bytes | str, password: str | None = None) -> list[tuple[str, bytes]]:
    """Return serial number and seed of each record."""
    return [(each.serial, each.parameters.seed.reveal()) for each in records(data, password)]
