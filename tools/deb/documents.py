"""The documents of a package, which all lie in one directory: a link leads to what lies there too, or is no link.

`python -m tools.deb.documents DIRECTORY docs/linux-login.md ...` writes these documents, and the pictures in them.
"""

import re
import shutil
import sys
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from tools.tree import ROOT

_LINK: Final = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def packaged(document: str, shipped: Collection[str]) -> tuple[str, list[str]]:
    """The text of a document of this project beside those of `shipped` (names of paths from its root), and the pictures
    that it shows. What a link to anything else was called is left as text."""
    pictures: list[str] = []

    def relinked(found: re.Match[str]) -> str:
        mark, words, link = found.groups()
        path, anchor = link.partition("#")[::2]
        if not path or re.match(r"[a-z]+:", link):
            return found[0]
        target = (ROOT / document).parent.joinpath(path).resolve().relative_to(ROOT).as_posix()
        if mark:
            pictures.append(target)
        elif target not in shipped:
            return words
        return f"{mark}[{words}]({PurePosixPath(target).name}{anchor and '#' + anchor})"

    return _LINK.sub(relinked, (ROOT / document).read_text(encoding="utf-8")), pictures


def main(directory: Path, documents: Sequence[str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for document in documents:
        text, pictures = packaged(document, documents)
        (directory / PurePosixPath(document).name).write_text(text, encoding="utf-8")
        for picture in pictures:
            shutil.copyfile(ROOT / picture, directory / PurePosixPath(picture).name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
