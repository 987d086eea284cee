"""Subjects of commits are short commands; the check needs no history to pass."""

import subprocess
from pathlib import Path

import pytest

from tools.commit_subjects import Commit, commits_since, faults, main


@pytest.mark.parametrize(
    "subject",
    [
        "Limit connections per user",
        "Write planted faults as replacements in TOML",
        "Bring the tour's lines up to date",
        "Address the findings of the audit: rate limits first",
        "Feed the clock of a device from its last contact",
        "Re-use the connection of a contact",
        "Do not log logins that do not exist",
        "Pass the time as an argument",
        "List, show and accept rows of the database",
        "Limit connections per user, and say so in the answer to each of the rest",
    ],
)
def test_a_short_command_is_right(subject: str) -> None:
    assert list(faults(subject)) == []


@pytest.mark.parametrize(
    ("subject", "fault"),
    [
        ("Limit the connections of each user, of each device and of each address too", "characters"),
        ("Limit connections per user.", "full stop"),
        ("limit connections per user", "capital letter"),
        ("", "capital letter"),
        ("A download that is followed is always one that was asked for", "no verb"),
        ("The tour's stops where they are now", "no verb"),
        ("What every user needs first is fetched first", "no verb"),
        ("With the network a refusal asks the server the same", "no verb"),
        ("Strangers of the journey are asked once each", "no imperative"),
        ("Fixes the lock", "no imperative"),
        ("Added a lock", "no imperative"),
        ("Adding a lock", "no imperative"),
        ("Made the lock stronger", "no imperative"),
        ("Changelog: fetching for several users", "label"),
        ("Threat model: a clock set ahead", "label"),
        ("ADR 19", "no verb"),
        ("S22, S24", "no verb"),
        ("`make quick` is quick", "capital letter"),
        ("Format", "one word"),
    ],
)
def test_another_subject_is_refused_with_the_reason(subject: str, fault: str) -> None:
    assert [each for each in faults(subject) if fault in each]


def run_git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def a_history(root: Path) -> str:
    """Make a commit that is not checked, a good one, a bad one and a merge; return the first one's hash."""
    run_git(root, "init", "-q", "-b", "main")
    run_git(root, "commit", "-q", "--allow-empty", "-m", "A sentence of old.")
    first = run_git(root, "rev-parse", "HEAD")
    run_git(root, "commit", "-q", "--allow-empty", "-m", "Limit connections\n\nA body says why.")
    run_git(root, "checkout", "-q", "-b", "other", first)
    run_git(root, "commit", "-q", "--allow-empty", "-m", "The other side")
    run_git(root, "merge", "-q", "--no-ff", "-m", "A merge.", "main")
    return first


def test_only_new_commits_that_are_no_merges_are_read(tmp_path: Path) -> None:
    first = a_history(tmp_path)
    commits = commits_since(first, tmp_path)
    assert commits is not None
    assert sorted(commit.subject for commit in commits) == ["Limit connections", "The other side"]
    assert main(tmp_path, first) == 1
    assert commits_since("HEAD", tmp_path) == []
    assert main(tmp_path, "HEAD") == 0


def test_a_commit_without_a_message_is_read(tmp_path: Path) -> None:
    first = a_history(tmp_path)
    run_git(tmp_path, "commit", "-q", "--allow-empty", "--allow-empty-message", "-m", "")
    commits = commits_since(first, tmp_path)
    assert commits is not None
    assert commits[0] == Commit(run_git(tmp_path, "rev-parse", "--short", "HEAD"), "")


def test_without_the_history_nothing_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path, "27b7ed4befad") == 0  # no git
    a_history(tmp_path)
    assert main(tmp_path, "27b7ed4befad") == 0  # shallow
    (tmp_path / "unpacked").mkdir()
    assert main(tmp_path / "unpacked", "HEAD") == 0  # in the repository of another project
    assert capsys.readouterr().out.count("not checked") == 3


def test_without_git_nothing_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commits_since("HEAD", tmp_path) is None
