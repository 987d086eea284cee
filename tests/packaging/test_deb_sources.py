"""Sources of the Debian packages: exact locked versions, ordered package versions, programs that start the right
module.

The packages themselves are built by `make deb` and tried in a fresh Debian by `make deb-test`.
"""

import ast
import re
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from tools.deb.locked import NotLocked, locked_for
from tools.deb.version import debian_version
from tools.tree import ROOT

DEB = ROOT / "packaging/deb"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-tpm.lock"))


def names(requirements: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", requirements, re.MULTILINE))


def test_the_agent_gets_cryptography_and_its_dependencies() -> None:
    assert names(locked_for(["agent"])) == {"cryptography", "cffi", "pycparser"}


def test_the_server_gets_its_dependencies_and_none_of_development() -> None:
    found = names(locked_for(["server"]))
    assert {"sqlalchemy", "psycopg-binary", "starlette", "uvicorn"} <= found
    assert not {"pytest", "mypy", "tpm2-pytss", "hatchling", "fastapi"} & found


def test_every_line_is_one_of_the_locks() -> None:
    assert set(locked_for(["server"]).splitlines()) <= set(LOCKS.splitlines())


def test_unlocked_packages_are_named() -> None:
    with pytest.raises(KeyError):
        locked_for(["something-else"])
    assert issubclass(NotLocked, LookupError)


@pytest.mark.services
def test_debian_sorts_the_versions_as_they_were_released() -> None:
    released = [debian_version(each, "13") for each in ("0.2.0.dev1", "0.2.0a1.dev2", "0.2.0a1", "0.2.0rc1", "0.2.0")]
    released += [debian_version(each, "14") for each in ("0.2.0", "0.2.0.post1", "0.10.0")]
    for before, after in pairwise(released):
        assert subprocess.run(["dpkg", "--compare-versions", before, "lt", after], check=False).returncode == 0


@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_the_packaged_program_starts_the_project_s_entry_point(name: str) -> None:
    program = (DEB / name).read_text(encoding="utf-8")
    assert program.startswith("#!/usr/bin/python3 -ISB\n"), "nothing of the user's or of other packages"
    tree = ast.parse(program)
    imported = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    assert [f"{each.module}:{each.names[0].name}" for each in imported] == [PROJECT["scripts"][name]]
    assert 'if __name__ == "__main__":' in program, "the server's processes may read it again"
    package = re.search(r'"/usr/lib/(\S+)"', program)
    assert package is not None
    assert f"Package: {package[1]}\n" in (DEB / "debian/control").read_text(encoding="utf-8")


@pytest.mark.services
@pytest.mark.parametrize("script", sorted(DEB.glob("debian/*.p*[tm]")), ids=lambda path: path.name)
def test_a_maintainer_script_stops_at_errors_and_leaves_room_for_debhelper(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\nset -e\n")
    assert "\n#DEBHELPER#\n" in text
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
