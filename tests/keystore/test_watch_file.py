"""The file of the watch: kept together or not at all, private, begun again if damaged; one process has its lock."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sparekey.core.audit_log.watched import Named, WatchedKind
from sparekey.keystore.watch_file import WatchFile, WatchLock

TOKEN: Named = (WatchedKind.TOKEN, "t1")
USER: Named = (WatchedKind.ACCOUNT, "a1")


def test_only_committed_changes_are_kept(tmp_path: Path) -> None:
    with closing(WatchFile.open(tmp_path / "watch.db")) as book:
        book.put(TOKEN, {"step": 1, "lost": False, "account": None})
        book.set_head(3, b"h" * 32)
        book.set_told(TOKEN, {"step": "1, 0"})
        book.commit()
        book.put(TOKEN, {"step": 2})
        book.set_head(4, b"i" * 32)
    with closing(WatchFile.open(tmp_path / "watch.db")) as book:
        assert book.find(TOKEN) == {"step": 1, "lost": False, "account": None}
        assert book.head() == (3, b"h" * 32)
        assert book.told(TOKEN) == {"step": "1, 0"}


def test_a_rollback_discards_everything_since_the_commit(tmp_path: Path) -> None:
    with closing(WatchFile.open(tmp_path / "watch.db")) as book:
        book.put(TOKEN, {"step": 1})
        book.commit()
        book.put(TOKEN, {"step": 2})
        book.set_told(TOKEN, {"step": "x"})
        book.rollback()
        assert (book.find(TOKEN), dict(book.told(TOKEN)), book.head()) == ({"step": 1}, {}, None)


def test_objects_are_listed_in_one_order_and_forgotten() -> None:
    with closing(WatchFile.temporary()) as book:
        named: list[Named] = [USER, TOKEN, (WatchedKind.TOKEN, "t0"), (WatchedKind.GRANT, "a\nb\nc")]
        for each in named:
            book.put(each, {"here": True})
        assert book.count() == 4
        first = [each for each, _ in book.list_after(None, 3)]
        rest = [each for each, _ in book.list_after(first[-1], 3)]
        assert first + rest == sorted(named)
        assert book.keys_of(WatchedKind.TOKEN) == ["t0", "t1"]
        book.forget(TOKEN)
        assert book.find(TOKEN) is None
        book.set_told(USER, {"enabled": "x"})
        book.start_over()
        assert (book.count(), book.head(), dict(book.told(USER))) == (0, None, {"enabled": "x"})
        book.set_told(USER, {})
        assert dict(book.told(USER)) == {}


def test_the_cache_forgets_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparekey.keystore.watch_file._CACHED", 2)
    with closing(WatchFile.temporary()) as book:
        for number in range(9):
            book.put((WatchedKind.TOKEN, str(number)), {"step": number})
        assert [book.find((WatchedKind.TOKEN, str(number))) for number in range(9)] == [{"step": n} for n in range(9)]


def test_the_files_are_private(tmp_path: Path) -> None:
    with closing(WatchFile.open(tmp_path / "watch.db")) as book:
        book.commit()
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 500])
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "watch.db").write_bytes(content)
    with closing(WatchFile.open(tmp_path / "watch.db")) as book:
        assert book.head() is None
    assert (tmp_path / "watch.db.damaged-1").read_bytes() == content


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "watch.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        WatchFile.open(tmp_path / "watch.db")
    assert not (tmp_path / "elsewhere").exists()


OTHER = """
import sys
from pathlib import Path
from sparekey.keystore.watch_file import WatchLock
print(WatchLock(Path(sys.argv[1])).take(), flush=True)
"""


def another_takes(path: Path) -> str:
    command = [sys.executable, "-c", OTHER, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.services
def test_s47_one_process_has_the_lock_until_it_ends(tmp_path: Path) -> None:
    lock = WatchLock(tmp_path / "watch.lock")
    assert another_takes(tmp_path / "watch.lock") == "True"  # and ends
    assert lock.take()
    assert lock.take()
    assert another_takes(tmp_path / "watch.lock") == "False"
    lock.release()
    assert another_takes(tmp_path / "watch.lock") == "True"
