"""The file format of a vector: lines of `name: value`, then, for a unit, an empty line and its bytes in hex.

`about` says what the scenario is, `expect` is `key`, a failure word, `misread` with group numbers, or (splitting) the
candidates as JSON.
"""

Fields = dict[str, str]

_HEX_COLUMNS = 96


def render(fields: Fields, unit: bytes | None = None) -> str:
    """The file's text."""
    head = "".join(f"{name}: {value}\n" for name, value in fields.items())
    if unit is None:
        return head
    text = unit.hex()
    lines = [text[start : start + _HEX_COLUMNS] for start in range(0, len(text), _HEX_COLUMNS)]
    return head + "\n" + "".join(f"{line}\n" for line in lines)


def parse(text: str) -> tuple[Fields, bytes]:
    """Fields and unit (empty where there is none)."""
    head, _, body = text.partition("\n\n")
    return dict(line.split(": ", 1) for line in head.splitlines()), bytes.fromhex(body)
