"""The files of the project: those that git tracks, and those that it would track."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def project_files(root: Path = ROOT) -> list[Path]:
    """Paths from `root` of the files that git tracks or does not ignore, sorted; those deleted on disk left out.

    A copy without git holds nothing but project files and what a test run left behind.
    """
    if (root / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        names = {Path(name) for name in done.stdout.split("\0") if name}
    else:
        names = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
        names = {name for name in names if not _is_left_behind(name)}
    return sorted(name for name in names if (root / name).is_file())


def copy_project(to: Path) -> None:
    """Copies the project files into the empty directory `to`."""
    for name in project_files():
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def _is_left_behind(name: Path) -> bool:
    return any(
        part == "__pycache__" or (part.startswith(".") and part.endswith("_cache")) or part in {".hypothesis", ".venv"}
        for part in name.parts
    )
