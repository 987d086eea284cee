"""Rewrites all vectors: `python -m spec.vectors.make`. The same bytes every time; a test says so.

Vectors that no longer have a scenario are removed.
"""

from pathlib import Path

from spec.vectors.opening_cases import opening_cases
from spec.vectors.refusal_cases import refusal_cases
from spec.vectors.splitting_cases import splitting_vectors

FOLDER = Path(__file__).parent


def all_vectors() -> dict[str, str]:
    """Text by path below this folder."""
    cases = [*opening_cases(), *refusal_cases()]
    units = {f"offline-day/{case.name}.txt": case.render() for case in cases}
    if len(units) != len(cases):
        raise ValueError("two scenarios have one name")
    return units | {f"splitting/{name}": text for name, text in splitting_vectors().items()}


def main() -> None:
    vectors = all_vectors()
    for path in [*FOLDER.glob("offline-day/*.txt"), *FOLDER.glob("splitting/*.txt")]:
        if str(path.relative_to(FOLDER)) not in vectors:
            path.unlink()
    for name, text in vectors.items():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(text)
    print(f"{len(vectors)} vectors")


if __name__ == "__main__":
    main()
