"""The vectors on disk are the generator's, and a second reader agrees with each of them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from spec.vectors import open_unit as second_reader
from spec.vectors.make import FOLDER, all_vectors
from tests.sealed.units import DEVICE, NOON, PINNED, TODAY, a_plan, a_unit
from tools.counts import Count

READER = FOLDER / "open_unit.py"


def test_generating_again_gives_the_same_bytes() -> None:
    on_disk = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.glob("*/*.txt")}
    assert all_vectors() == on_disk


def test_second_reader_agrees_with_every_vector(count: Count) -> None:
    """A wrong passcode is compared with every pepper. The small test reads a share of those vectors, and all others."""
    paths = sorted(FOLDER.glob("*/*.txt"))
    slow = [path for path in paths if "\nexpect: wrong passcode\n" in path.read_text()]
    assert len(slow) > 10
    read = [path for path in paths if path not in slow] + slow[:: count(small=6, full=1)]
    second_reader.main([str(path) for path in read])


def test_the_second_reader_is_independent_and_has_200_lines() -> None:
    text = READER.read_text()
    assert len([line for line in text.splitlines() if line.strip()]) < 200
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert imported <= sys.stdlib_module_names | {"cryptography"}


@pytest.mark.services
def test_second_reader_opens_a_fresh_unit_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "unit"
    path.write_bytes(a_unit(a_plan(), count=3))
    command = [sys.executable, str(READER), str(path), PINNED.hex(), DEVICE, str(NOON), "1"]

    right = subprocess.run(command, input="1234" + TODAY[1][1], capture_output=True, text=True, check=False)
    wrong = subprocess.run(command, input="1235" + TODAY[1][1], capture_output=True, text=True, check=False)

    assert right.stdout.split() == [a_plan().offline_key.reveal().hex(), str(TODAY[1][0])]
    assert (wrong.returncode, wrong.stdout, wrong.stderr.strip()) == (1, "", "wrong passcode")
