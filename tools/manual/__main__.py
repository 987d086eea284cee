"""`python -m tools.manual DIRECTORY`: NAME.SECTION, NAME.bash, NAME.zsh and NAME.fish of both programs."""

import argparse
from pathlib import Path

from sparekey import __version__
from tools.manual.completion import SHELLS, completion
from tools.manual.page import manual_page
from tools.manual.programs import ABOUT


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for program, about in ABOUT.items():
        name = program.path[0]
        written = {f"{name}.{about.section}": manual_page(program, about, __version__)}
        written |= {f"{name}.{shell}": completion(program, shell) for shell in SHELLS}
        for file, text in written.items():
            (directory / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.manual", description="Manual pages and completions.")
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where they are written; made if need be")
    main(parser.parse_args().directory)
