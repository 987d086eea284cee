"""How many of something, in a sentence."""


def counted(count: int, one: str, many: str = "") -> str:
    """`1 token`, `2 tokens`; `many`: where it is not the one with an s."""
    return f"{count} {one if count in (1, -1) else many or f'{one}s'}"
