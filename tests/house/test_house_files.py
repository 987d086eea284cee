"""House rules of all files: the lock covers all requirements and holds no address; no file has an address or path of a
machine."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.tree import ROOT, project_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = [(ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-tpm.lock")]
VERSIONS = [dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", lock, re.MULTILINE)) for lock in LOCKS]
LOCKED = VERSIONS[0] | VERSIONS[1]

INSTALLERS = ("Makefile", ".ci/", "tools/setup", "tools/on-python", "tools/deb/", "packaging/")
FROM_HERE = re.compile(r"--no-deps\b.*(?:--no-build-isolation --editable \.|/\*\.whl)")

# A class of one letter keeps this file from matching itself.
FORBIDDEN = {
    "address of a package registry": re.compile(r"py[p]i\.|pythonh[o]sted\.|npm[j]s\.|--?index-ur[l]|--find-link[s]"),
    "path of one machine": re.compile(r"(?<![\w.~}/-])/(?:wor[k]|roo[t]|hom[e])/\w"),
}


def asked_for() -> list[Requirement]:
    project = PROJECT["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values(), PROJECT["build-system"]["requires"]]
    lists += PROJECT["dependency-groups"].values()
    return [Requirement(each) for names in lists for each in names]


def test_the_lock_satisfies_the_project_s_requirements() -> None:
    for requirement in asked_for():
        version = LOCKED.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name}: run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement}: locked is {version}, run `make lock`"


@pytest.mark.parametrize("lock", LOCKS, ids=["all", "tpm"])
def test_everything_locked_is_pinned_by_hash_and_by_no_address(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert not re.search(r"://| @ |\bhttps?\b", lock)


def test_one_version_of_everything_is_locked() -> None:
    assert {name: VERSIONS[0].get(name, version) for name, version in VERSIONS[1].items()} == VERSIONS[1]


def test_no_file_names_a_registry_or_a_machine() -> None:
    found = []
    for name in project_files():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {what}: {match[0]}" for what, rule in FORBIDDEN.items() if (match := rule.search(text))]
    assert found == []


def test_nothing_is_installed_but_by_hash_or_from_here() -> None:
    """A package without a hash is whatever its registry sends. The project itself, and what was built from it, need
    none: no other package comes with them.
    """
    installs = re.compile(r"\bpip (?:install|sync|download)\b(?:.*\\\n)*.*")
    names = [name for name in project_files() if str(name).startswith(INSTALLERS)]
    texts = [re.sub(r"^\s*#.*", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE) for name in names]
    commands = [found[0] for text in texts for found in installs.finditer(text)]
    assert len(commands) >= 7
    bad = [each for each in commands if "--require-hashes" not in each and not FROM_HERE.search(each)]
    assert bad == []


def test_the_lock_has_the_program_that_installs_the_rest() -> None:
    setup = (ROOT / "tools/setup").read_text(encoding="utf-8")
    (script,) = re.findall(r"sed -n '(.*)' requirements.lock", setup)
    done = subprocess.run(["sed", "-n", script, ROOT / "requirements.lock"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("uv==")
    assert len(lines) > 10
    assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])
