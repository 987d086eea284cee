"""Check the subjects of new commits: `python -m tools.commit_subjects`, called by `make check`.

Rules: a subject has at most 72 characters, begins with a capital letter, has no full stop at its end, and begins with a
verb in the imperative ("Limit connections per user"). Commits up to SINCE and merges are not checked. Without the
history up to SINCE (a source archive, a shallow clone) nothing is checked.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.tree import ROOT

SINCE: Final = "27b7ed4befad"
MOST: Final = 72


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that begin a sentence or a list of nouns and no command.
NO_VERBS: Final = _words(
    """
    a an the this that these those its his her their our my your each every all both some any no none one two three
    four five ten many more most few fewer several other others another such same own
    i we you he she it they nobody somebody everybody anybody whoever whatever nothing something everything anything
    who whom whose what which where when why how whether if unless because since while although though once as than
    and or but nor so also then not now never always only just even still already again here there today
    in on at of off by for from to into onto over under with without within between through across after before during
    about above below behind beside against along among around inside outside until up down out per via
    is are was were been being am does did has had can could may might must shall should will would
    better new old first last next newest oldest newer older small big full faster smaller simpler
    changelog readme contributing documentation docs manual glossary console server agent device devices user
    bugfix wip misc various minor fixup squash chore feat feature
    """
)
IRREGULAR: Final = _words(
    """
    made wrote written ran kept gave given took taken built got found held left lost meant met paid said sent shown sold
    spoke spent stood told thought understood went gone came became began begun broke broken brought caught chose chosen
    drew drawn fell fallen forgot forgotten grew grown hid hidden knew known laid led rose risen saw seen swapped threw
    thrown withdrew withdrawn
    """
)
# Imperatives that only look like another form.
IMPERATIVES: Final = _words(
    """
    bring ping string ring swing spring wring embed feed need shred seed speed shed weed heed exceed proceed succeed
    focus bias canvas alias
    """
)
_OTHER_FORM: Final = re.compile(r".*(?:ed|ing|[^s]s)")


@dataclass(frozen=True)
class Commit:
    """An abbreviated hash and the first line of the message."""

    hash: str
    subject: str


def faults(subject: str) -> Iterator[str]:
    """Yield what is wrong with a subject, as the rest of a sentence."""
    if len(subject) > MOST:
        yield f"has {len(subject)} characters, at most {MOST}: move the reason into the body"
    if subject.endswith("."):
        yield "ends in a full stop"
    if not subject[:1].isupper():
        yield "does not begin with a capital letter"
    elif reason := _no_imperative(subject):
        yield f'{reason}: begin with a verb in the imperative, such as "Limit connections per user"'


def _no_imperative(subject: str) -> str | None:
    """Return why the subject is no command as far as its first words tell, or None."""
    first, *rest = subject.replace(",", " ").split()  # "List, show and accept rows" begins with a verb
    if not rest:
        return "has one word"
    if any(word.endswith(":") for word in (first, *rest[:2])):
        return "begins with a label"
    if not re.fullmatch(r"[A-Z][a-z]+(?:-[a-z]+)?", first):
        return f'"{first}" is no verb'
    word = first.lower()
    if word in NO_VERBS:
        return f'"{first}" is no verb'
    if word in IRREGULAR or (word not in IMPERATIVES and _OTHER_FORM.fullmatch(word)):
        return f'"{first}" is no imperative'
    return None


def commits_since(since: str, root: Path = ROOT) -> list[Commit] | None:
    """Return the commits after `since`, merges left out, or None if the history does not reach back to it."""
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top.strip()).resolve() != root.resolve():
        return None  # no git, or the repository of another project around this one
    log = _git(root, "log", "--no-merges", "--format=%h %s", f"{since}..HEAD")
    if log is None:
        return None
    return [Commit(*line.split(" ", 1)) for line in log.splitlines()]


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, or None if it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def main(root: Path = ROOT, since: str = SINCE) -> int:
    """Exit 1 if a subject is wrong, else 0."""
    commits = commits_since(since, root)
    if commits is None:
        print(f"commit subjects: not checked, there is no history back to {since}")
        return 0
    wrong = [f"{each.hash} {each.subject}\n  {fault}" for each in commits for fault in faults(each.subject)]
    print(*wrong, sep="\n") if wrong else print(f"commit subjects: {len(commits)} are fine")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
