"""Pages of policies: previews before an edit, confirmations, and read-only visitors."""

import re
from collections.abc import Mapping

import pytest

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.policies import policies
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.core.policy.kinds import PolicyKind
from sparekey.secret import Secret
from sparekey.server.console.policies import words as policy_words
from sparekey.server.console.site import CONSOLE
from tests.builders import NOW, ROOT, a_device
from tests.server.asgi import Reply
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, World, an_administrator
from tests.server.page_world import header, visit
from tests.server.reading_pages import look, statements, words

OFFLINE = "/console/policies/offline/Default"
PAGES = {(page.method, page.path): page for page in CONSOLE.pages}


@pytest.fixture
def root(world: World) -> Secret[str]:
    return an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)


def send(world: World, who: Secret[str], path: str, form: Mapping[str, str]) -> Reply:
    return run(visit(world, PAGES["POST", "/console/policies/{kind}/{name}/edit"], who, form, path=path))


def as_form(world: World, kind: PolicyKind = PolicyKind.OFFLINE, **changed: str) -> dict[str, str]:
    """The form of the default policy, with some fields changed, as a browser sends it."""
    values = policies.show_policy(world.instance, ROOT, kind, "Default").values
    texts = {name: policy_words.text_of(kind.fields[name], value) for name, value in values.items()} | changed
    return {name: text for name, text in texts.items() if not (kind.fields[name].kind is bool and text == "off")}


def stored(world: World, name: str) -> object:
    return policies.show_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Default").values[name]


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_every_field_has_a_name_and_a_place_in_the_form(kind: PolicyKind) -> None:
    placed = [name for _, names in policy_words.GROUPS[kind] for name in names]
    assert sorted(placed) == sorted(kind.fields)
    assert all(policy_words.LABELS.get(name) for name in kind.fields)


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_a_policy_is_shown_with_meaning_range_and_default(world: World, root: Secret[str], kind: PolicyKind) -> None:
    reply = look(world, root, f"/console/policies/{kind}/Default")
    assert reply.status == 200, reply.body.decode()[-1000:]
    shown = words(reply)
    for row in policy_words.rows_of(kind, policies.show_policy(world.instance, ROOT, kind, "Default").values).values():
        assert row.label in shown
        assert row.meaning in shown
        assert row.allowed in shown
    assert INSIDE in shown


def test_the_cost_is_that_of_the_level_that_is_chosen(world: World, root: Secret[str]) -> None:
    typed = "&".join(f"{name}={value}" for name, value in as_form(world, protection_level="strong").items())
    reply = look(world, root, f"/console/policies/offline:cost?policy=Default&{typed}")
    assert "About 15,000 USD , or 4.4 years on one graphics card, at level strong" in words(reply)
    assert "About 1,300 USD" in words(look(world, root, OFFLINE))


def test_the_form_explains_a_kept_password_without_a_tpm(world: World, root: Secret[str]) -> None:
    shown = words(look(world, root, f"{OFFLINE}/edit"))
    assert "Operating-system password" in shown
    assert "Without a TPM, an attacker who copies the disk and guesses a passcode gets the password, too." in shown
    assert "On a device with a TPM, nothing can be guessed from a copied disk" in shown


def test_a_tightening_edit_shows_counts_first(world: World, root: Secret[str]) -> None:
    form = as_form(world, minimum_passcode_length="12")
    with statements(world) as seen:
        reply = send(world, root, f"{OFFLINE}/edit", form)
    assert len(seen) <= 10, seen
    shown = words(reply)
    assert reply.status == 200
    assert "This discards offline data" in shown
    assert "Offline data of 1 user on 1 device" in shown
    assert "PINs too short" not in shown  # 8 characters and 6 digits are enough
    assert stored(world, "minimum_passcode_length") == 10
    kept = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', reply.body.decode()))
    kept.pop("mark")
    assert kept.items() >= form.items()
    saved = send(world, root, f"{OFFLINE}/edit", kept)
    assert (saved.status, header(saved, "location")) == (303, OFFLINE)
    assert stored(world, "minimum_passcode_length") == 12


def test_pins_that_become_too_short_are_counted(world: World, root: Secret[str]) -> None:
    shown = words(send(world, root, f"{OFFLINE}/edit", as_form(world, minimum_passcode_length="16")))
    assert "PINs too short for the new minimum: 1 token." in shown


def test_an_edit_that_discards_nothing_is_saved_at_once(world: World, root: Secret[str]) -> None:
    form = as_form(world, help_text="Ring 1234", allow_tokens_without_pin="off")
    assert send(world, root, f"{OFFLINE}/edit", form).status == 303
    assert stored(world, "help_text") == "Ring 1234"


def test_a_conflicting_edit_is_refused(world: World, root: Secret[str]) -> None:
    form = as_form(world, help_text="Ring 1234") | {"revision": "1"}
    reply = send(world, root, f"{OFFLINE}/edit", form)
    assert reply.status == 409
    assert "was changed in the meantime" in words(reply).lower()
    assert stored(world, "help_text") == ""


def test_a_number_out_of_range_is_named_as_the_form_names_it(world: World, root: Secret[str]) -> None:
    reply = send(world, root, f"{OFFLINE}/edit", as_form(world, days="61"))
    assert reply.status == 400
    assert "'Days of offline data' must be a number from 1 to 60" in words(reply)
    assert 'value="61"' in reply.body.decode()


def test_the_effective_policy_names_the_source_of_each_value(world: World, root: Secret[str]) -> None:
    policies.add_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Travel", {"days": "30"}, now=NOW)
    policies.assign_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Travel", INSIDE, confirmed=True, now=NOW)
    a_device(world.instance, "desk")
    shown = words(look(world, root, "/console/policies:effective?user=alice&device=desk"))
    assert "Days of offline data 1 day policy 'Default' of the device's domain 'SystemDomain'" in shown
    assert f"Protection level balanced policy 'Travel' of the user's domain '{INSIDE}'" in shown
    assert "About 10,000 USD" in shown


def test_a_reader_is_offered_no_changes(world: World) -> None:
    auditor = an_administrator(world.instance, "auditor", TOP_DOMAIN)
    for path in ("/console/policies", OFFLINE):
        reply = look(world, auditor, path)
        assert reply.status == 200
        assert "/edit" not in reply.body.decode()
    assert look(world, auditor, f"{OFFLINE}/edit").status == 403


def test_removing_lists_the_affected_domains(world: World, root: Secret[str]) -> None:
    policies.add_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Travel", {}, now=NOW)
    policies.assign_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Travel", INSIDE, confirmed=True, now=NOW)
    shown = words(look(world, root, "/console/policies/offline/Travel/remove"))
    assert f"will use the default policy instead: {INSIDE}" in shown
    assert "Offline data of 1 user on 1 device" in shown


def post(world: World, who: Secret[str], change: str, form: Mapping[str, str]) -> Reply:
    """A change of the policy Travel, by its page."""
    page = PAGES["POST", f"/console/policies/{{kind}}/{{name}}/{change}"]
    return run(visit(world, page, who, form, path=f"/console/policies/offline/Travel/{change}"))


def test_a_policy_becomes_the_default_after_a_preview(world: World, root: Secret[str]) -> None:
    travel = {"minimum_passcode_length": "16", "protection_level": "light"}
    policies.add_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Travel", travel, now=NOW)
    here = "/console/policies/offline/Travel"
    assert f'href="{here}/default"' in look(world, root, here).body.decode()
    shown = look(world, root, f"{here}/default")
    assert "Travel takes the place of Default" in words(shown)
    assert "It is stricter in: Minimum passcode length" in words(shown)
    assert "Offline data of 1 user on 1 device" in words(shown)
    assert 'name="confirmed" value="on"' in shown.body.decode()
    unconfirmed = post(world, root, "default", {})
    assert unconfirmed.status == 403
    assert "are discarded at the next contact" in words(unconfirmed)
    done = post(world, root, "default", {"confirmed": "on"})
    assert (done.status, header(done, "location")) == (303, here)
    found = {view.name: view.is_default for view in policies.list_policies(world.instance, ROOT, PolicyKind.OFFLINE)}
    assert found == {"Default": False, "Travel": True}
    assert "/default" not in look(world, root, here).body.decode()


def test_a_removal_that_discards_is_confirmed_on_its_page(world: World, root: Secret[str]) -> None:
    policies.add_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Travel", {"days": "60"}, now=NOW)
    policies.assign_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Travel", INSIDE, confirmed=True, now=NOW)
    assert post(world, root, "remove", {}).status == 403
    assert post(world, root, "remove", {"confirmed": "on"}).status == 303


def test_the_effect_of_an_edit_is_beside_each_field(world: World, root: Secret[str]) -> None:
    shown = words(look(world, root, OFFLINE))
    assert "Effect of an edit on existing data" in shown
    assert "renews offline data; a stricter value discards them first" in shown
    assert "A stricter value discards offline data." in words(look(world, root, f"{OFFLINE}/edit"))


def test_a_policy_is_added_and_removed(world: World, root: Secret[str]) -> None:
    form = as_form(world, days="3", protection_level="balanced") | {"name": "Travel / train"}
    added = send(world, root, "/console/policies/offline:add", form)
    assert (added.status, header(added, "location")) == (303, "/console/policies/offline/Travel%20%2F%20train")
    assert "3 days" in words(look(world, root, header(added, "location")))
    page = PAGES["POST", "/console/policies/{kind}/{name}/remove"]
    removed = run(visit(world, page, root, {}, path=f"{header(added, 'location')}/remove"))
    assert (removed.status, header(removed, "location")) == (303, "/console/policies/offline")
    assert [view.name for view in policies.list_policies(world.instance, ROOT, PolicyKind.OFFLINE)] == ["Default"]
