"""The number of users who could sign in if the network failed now: counted in batches, cached, per scope."""

import pytest

from sparekey.app.instance import Instance
from sparekey.app.people import users
from sparekey.app.reports import readiness as readiness_counts
from sparekey.app.reports.readiness import KEPT_SECONDS, count_on, counted_so_far
from sparekey.core.errors import NotAllowed
from sparekey.core.permissions import Actor
from tests.app.administrators import a_full_device, add_tree, an_administrator
from tests.builders import NOW, PIN, ROOT, a_device, a_filled_device, a_user


def test_a_user_counts_once_by_the_best_device(server: Instance) -> None:
    ready, closed = a_user(server, "alice", pin=PIN), a_user(server, "bob", pin=PIN)
    a_full_device(server, ready)
    a_device(server).sign_in(ready, NOW + 30)  # one more, on which nothing is yet
    a_user(server, "carol")
    a_filled_device(server, closed)
    users.set_enabled(server, ROOT, "bob", enabled=False, now=NOW)
    counts = count_on(server, ROOT, now=NOW)
    assert (counts.users, counts.tokencode, counts.runs_out, counts.code, counts.nothing) == (2, 1, 1, 0, 1)
    assert counts.after is None


def test_a_count_continues_and_restarts_after_a_while(server: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness_counts, "_BATCH", 2)
    for name in ("alice", "bob", "carol"):
        a_user(server, name)
    assert counted_so_far(server, ROOT, now=NOW).users == 0
    assert count_on(server, ROOT, now=NOW).users == 2
    assert count_on(server, ROOT, now=NOW + 1).users == 3
    done = counted_so_far(server, ROOT, now=NOW + KEPT_SECONDS - 1)
    assert (done.users, done.at, done.after) == (3, NOW, None)
    assert count_on(server, ROOT, now=NOW + 2) == done  # nothing is counted again
    assert counted_so_far(server, ROOT, now=NOW + KEPT_SECONDS).users == 0


def test_each_scope_counts_its_own_users(server: Instance) -> None:
    add_tree(server)
    a_user(server, "alice", domain="Sales")
    _, chief = an_administrator(server, ("help desk", "Support"), domain="Support")
    assert count_on(server, ROOT, now=NOW).users == 2
    assert count_on(server, chief, now=NOW).users == 1
    with pytest.raises(NotAllowed):
        count_on(server, Actor("user:nobody"), now=NOW)
