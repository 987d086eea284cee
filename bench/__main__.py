"""`python -m bench [--full] [P5 P7 ...]`: one table (ours, peer or limit, ratio), and the same as JSON."""

import argparse
import importlib
from pathlib import Path

from bench import table

# which module measures what; modules start what they need themselves and end it again
MODULES = {
    "bench.sign_ins": ("P1", "P2"),
    "bench.sealing": ("P5", "P6"),
    "bench.device": ("P7", "P8", "P10"),
    "bench.imports": ("P10",),
    "bench.growth": ("P9",),
}
RESULTS = Path("build/bench.json")


def main() -> int:
    """0 if every goal is met."""
    parser = argparse.ArgumentParser(prog="bench", description="Speed as ratios, measured side by side in one run.")
    parser.add_argument("--full", action="store_true", help="the large sizes")
    parser.add_argument("numbers", nargs="*", help="only these P-numbers")
    wanted = parser.parse_args()
    rows: list[table.Row] = []
    for module, numbers in MODULES.items():
        if not wanted.numbers or set(wanted.numbers) & set(numbers):
            rows += importlib.import_module(module).rows(full=wanted.full)
    table.show(rows)
    table.write(rows, RESULTS)
    print(f"\nalso in {RESULTS}")
    return 1 if any(row.holds is False for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
