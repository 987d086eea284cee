"""House rules of the source: a docstring per module, no long files, one clock, no print, layers kept."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.sizes import sizes
from tools.tree import ROOT, project_files

MODULES = [name for name in project_files() if name.suffix == ".py" and name.parts[0] == "src"]


def tree_of(name: Path) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), str(name))


def test_every_module_has_a_docstring() -> None:
    assert [str(name) for name in MODULES if not ast.get_docstring(tree_of(name))] == []


def test_no_file_and_no_function_is_too_long() -> None:
    too_long = [size for size in sizes() if size.lines > size.most]
    worth_a_look = [size for size in sizes() if size.lines > size.look]
    print("worth a hard look:", *(f"{size.lines} {size.what}" for size in worth_a_look), sep="\n  ")
    assert too_long == []


def test_only_the_commands_print() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name in MODULES
        if name.parts[:3] != ("src", "sparekey", "cli")
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Name) and node.id == "print"
    ]
    assert printing == []


def test_the_layers_are_kept() -> None:
    """Run in a separate process, because the linter switches off the loggers of its process."""
    program = Path(sys.executable).with_name("lint-imports")
    line: list[str | Path] = [program, "--config", ROOT / "pyproject.toml", "--no-cache", "--no-logo"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_one_exception_of_the_pure_packages_is_quoting() -> None:
    names = dict(imported_names(tree_of(Path("src/sparekey/core/tokens/key_uri.py")))).values()
    assert [name for name in names if name.startswith("urllib") and not name.startswith("urllib.parse.")] == []


def test_only_these_modules_decrypt_stored_secrets() -> None:
    opening = re.compile(r"\bvault\.open\(")
    found = {name for name in MODULES if opening.search((ROOT / name).read_text(encoding="utf-8"))}
    assert {".".join(name.with_suffix("").parts[2:]) for name in found} == {
        "app.offline.keys",
        "app.sessions.passkeys",
        "app.sign_in.challenges",
        "app.snapshots",
        "app.tokens.life_cycle",
    }


def test_only_the_clock_reads_the_time() -> None:
    reads = [
        f"{name}:{read}"
        for name in MODULES
        if name != Path("src/sparekey/clock.py")
        for read in clock_reads(tree_of(name))
    ]
    assert reads == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as t\nt.monotonic()",
        "from time import time",
        "from time import time_ns as stamp",
        "import datetime\ndatetime.datetime.now(datetime.UTC)",
        "import datetime as dt\ndt.date.today()",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import datetime as moment\nclock = moment.utcnow",
        "from sqlalchemy import func\nfunc.now()",
        "from sqlalchemy import text\ntext('select CURRENT_TIMESTAMP')",
    ],
)
def test_the_clock_rule_sees_every_way_to_read_the_time(source: str) -> None:
    assert list(clock_reads(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "from datetime import UTC, datetime\ndatetime.fromtimestamp(now, UTC)",
        "from sparekey import clock\nclock.now()",
        "def find(now: int): return now",
    ],
)
def test_the_clock_rule_lets_the_rest_pass(source: str) -> None:
    assert list(clock_reads(ast.parse(source))) == []


def clock_reads(tree: ast.Module) -> Iterator[str]:
    """Yield line and text of each place that may read the time: our process's clock or the database's."""
    aliases = dict(imported_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"{node.lineno} from time import {each.name}" for each in node.names if each.name != "sleep")
        elif isinstance(node, ast.Attribute):
            owner, _, rest = ast.unparse(node.value).partition(".")
            full = ".".join(part for part in (aliases.get(owner, owner), rest, node.attr) if part)
            if is_a_clock(full):
                yield f"{node.lineno} {full}"
        elif isinstance(node, ast.Constant) and "CURRENT_TIMESTAMP" in str(node.value):
            yield f"{node.lineno} {node.value!r}"


def is_a_clock(name: str) -> bool:
    module, _, function = name.partition(".")
    if module == "time":
        return function not in {"", "sleep"}
    return name in {"sqlalchemy.func.now", "sqlalchemy.func.current_timestamp"} or (
        module == "datetime" and name.rpartition(".")[2] in {"now", "utcnow", "today"}
    )


def imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield local name and full name of each import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.asname or each.name, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)
