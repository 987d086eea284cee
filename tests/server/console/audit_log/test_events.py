"""Pages of the audit log, the settings, the instances and the reports: filters, files, and hidden fields."""

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from sparekey.app.emergency.online import Terms, give_fixed
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.sessions.users import interface_name
from sparekey.app.sign_in.verification import SignInInterface
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.row_files import as_csv
from sparekey.secret import Secret
from sparekey.server.application import create_application
from sparekey.server.console.audit_log import events as audit
from sparekey.server.console.reports import reports
from sparekey.server.settings import SETTINGS
from tests.builders import NOW, ROOT, submit
from tests.server.operation_world import INSIDE, World, an_administrator
from tests.server.page_world import header
from tests.server.reading_pages import look, statements, words


@pytest.fixture
def root(world: World) -> Secret[str]:
    return an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)


@pytest.fixture
def refused(world: World) -> None:
    submit(world.instance, world.alice, NOW, world.alice.wrong(NOW))


@pytest.mark.usefixtures("refused")
def test_a_refusal_is_shown_in_words_with_linked_names(world: World, root: Secret[str]) -> None:
    reply = look(world, root, "/console/audit?user=alice&result=refused")
    assert "Sign-in refused Wrong passcode" in words(reply)
    assert "1 event" in words(reply)
    assert 'href="/console/users/alice"' in reply.body.decode()
    assert f'href="/console/tokens/{world.alice.serial}"' in reply.body.decode()


def test_a_sign_in_at_self_service_is_shown_in_words(world: World, root: Secret[str]) -> None:
    submit(
        world.instance, world.alice, NOW, world.alice.wrong(NOW), interface=SignInInterface(interface_name("192.0.2.7"))
    )
    seen = words(look(world, root, "/console/audit?by=192.0.2.7"))
    assert "192.0.2.7 self-service sign-in" in seen


def test_times_in_details_are_dates(world: World, root: Secret[str]) -> None:
    give_fixed(world.instance, ROOT, world.alice.serial, Terms(), Showing("called back"), now=NOW)
    reply = look(world, root, "/console/audit?action=emergency.temporary")
    assert re.search(r"<dt>expires</dt><dd><time", reply.body.decode())


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("action=sign-in.denied", True),
        ("action=sign-in.", True),
        ("action=token.", False),
        ("result=wrong-passcode", True),
        ("result=locked", False),
        ("by=client:web", True),
        ("by=os:root", False),
        ("from=2027-01-15", True),
        ("from=2027-01-16", False),
        ("to=2027-01-15", True),
        ("to=2027-01-14", False),
        ("device=laptop", False),
    ],
)
def test_each_filter_holds(world: World, root: Secret[str], filters: str, found: bool) -> None:
    reply = look(world, root, f"/console/audit?user=alice&{filters}")
    assert reply.status == 200
    assert ("Wrong passcode Event" in words(reply)) is found


def test_an_unknown_filter_value_is_reported_and_nothing_shown(world: World, root: Secret[str]) -> None:
    for filters in ("user=nobody", "by=nobody", "from=someday", "action=nothing"):
        reply = look(world, root, f"/console/audit?{filters}")
        assert 'role="alert"' in reply.body.decode()
        assert "Download" not in words(reply)


def test_pages_go_on_where_the_last_one_ended(world: World, root: Secret[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_PAGE", 3)
    first = look(world, root, "/console/audit").body.decode()
    after = first.split("after=")[1].split('"')[0]
    second = look(world, root, f"/console/audit?after={after}").body.decode()
    numbers = [[int(each.split("<")[0]) for each in page.split("<dt>Event</dt><dd>")[1:]] for page in (first, second)]
    assert [len(each) for each in numbers] == [3, 3]
    assert min(numbers[0]) == max(numbers[1]) + 1 == int(after)


@pytest.mark.usefixtures("refused")
def test_a_file_holds_the_filtered_events(world: World, root: Secret[str]) -> None:
    lines = look(world, root, "/console/audit:export?user=alice&result=refused&as=jsonl")
    (row,) = map(json.loads, lines.body.splitlines())
    assert (row["action"], row["user"], row["result"]) == ("sign-in.denied", "alice", "wrong-passcode")
    assert header(lines, "content-disposition").endswith('.jsonl"')
    (table,) = csv.DictReader(
        io.StringIO(look(world, root, "/console/audit:export?user=alice&result=refused&as=csv").body.decode())
    )
    assert (table["user"], json.loads(table["detail"])) == ("alice", row["detail"])
    assert look(world, root, "/console/audit:export?as=xls").status == 400


def test_a_formula_is_no_formula_in_a_file() -> None:
    assert as_csv(("a",), [{"a": "=1+1"}, {"a": None}, {"a": True}]) == b'a\r\n\'=1+1\r\n""\r\nyes\r\n'


def test_an_auditor_of_a_domain_must_name_a_user(world: World) -> None:
    auditor = an_administrator(world.instance, "auditor", INSIDE)
    assert "Enter a user, token or device." in words(look(world, auditor, "/console/audit"))
    assert "User added" in words(look(world, auditor, "/console/audit?user=alice"))
    assert look(world, auditor, "/console/audit:export").status == 403


def test_s65_no_secret_setting_is_shown(world: World, root: Secret[str]) -> None:
    secret = Secret("postgresql://u:hunter2@db/sparekey")
    told = replace(world.interfaces.service.settings, database=secret, smtp_password=Secret("hunter3"))
    world.interfaces.app = create_application(replace(world.interfaces.service, settings=told))
    reply = look(world, root, "/console/settings")
    shown = words(reply)
    assert "hunter" not in reply.body.decode()
    assert shown.count("set (not shown)") == 2
    assert all(name in shown for name in SETTINGS)


def test_settings_and_instances_need_a_permission(world: World, root: Secret[str]) -> None:
    auditor = an_administrator(world.instance, "auditor", TOP_DOMAIN)
    for path in ("/console/settings", "/console/instances"):
        assert look(world, auditor, path).status == 403
        assert look(world, root, path).status == 200
    assert "A later release will show replicas" in words(look(world, root, "/console/instances"))


def test_the_report_is_there_as_page_and_as_files(world: World, root: Secret[str]) -> None:
    assert "alice Sales laptop tokencode" in words(look(world, root, "/console/reports"))
    (row,) = [
        row
        for row in json.loads(look(world, root, "/console/reports:readiness?as=json").body)["rows"]
        if row["user"] == "alice"
    ]
    assert (row["device"], row["ready_with"]) == ("laptop", "tokencode")
    table = csv.DictReader(io.StringIO(look(world, root, "/console/reports:forecast?as=csv").body.decode()))
    assert {"user", "when", "left"} <= set(table.fieldnames or ())


def test_a_report_is_whole_or_not_there(world: World, root: Secret[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_ROWS", 1)
    reply = look(world, root, "/console/reports:readiness?as=csv")
    assert reply.status == 409
    assert "sparekey report readiness --csv" in words(reply)


def test_no_page_of_these_asks_much_of_the_database(world: World, root: Secret[str]) -> None:
    """At most ten statements, the session's among them; and little to send."""
    paths = [
        "/console/policies",
        "/console/policies/offline/Default",
        "/console/policies/offline/Default/edit",
        "/console/policies:effective?user=alice&device=laptop",
        "/console/settings",
        "/console/instances",
        f"/console/audit?user=alice&token={world.alice.serial}&device=laptop&by=laptop",
        "/console/audit",
        "/console/reports",
    ]
    for path in paths:
        with statements(world) as seen:
            reply = look(world, root, path, headers={"accept-encoding": "gzip"})
        assert reply.status == 200
        assert len(seen) <= 10, "\n".join([path, *(each[-120:].replace("\n", " ") for each in seen)])
        assert len(reply.body) < 60_000


def test_a_running_count_separates_its_text_and_link(world: World, root: Secret[str]) -> None:
    assert "Counting ... Continue counting" in words(look(world, root, "/console"))
