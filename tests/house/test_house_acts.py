"""House rule of acts (S48): each change of the registry takes a side, and each writer of a factor asks for a person."""

import ast
from collections.abc import Iterator

import pytest

from sparekey.app.rest.registry import OPERATIONS
from sparekey.core.emergency.acts import ACTS, HARMLESS, OperatorAct
from tools.tree import ROOT

APP = ROOT / "src" / "sparekey" / "app"
WITH_ACTS = {name for rule in ACTS.values() for name in rule.use_cases}
# These have no line in the registry: root's command, and forms of the console for several objects.
ELSEWHERE = {"admin_links.make_link", "tokens.set_enabled_at_once", "users.set_enabled_at_once", "users.unlock_at_once"}
ASKS = ("verify_second_person", "verify_approved", "verify_lifts")

# Statements of `storage` that give, bring back or free a factor, or decide who must agree to that.
WRITERS = {
    "tokens": {"set_pin", "give_token", "insert_token", "update_token"},
    "stored": {"insert_tokens"},
    "online_emergency": {"insert_access"},
    "emergency_codes": {"insert_showing"},
    "passkeys": {"insert_passkey"},
    "accounts": {"set_enabled", "unlock", "update_account", "set_domain"},
    "admin_links": {"insert_link"},
    "policies": {"update_policy", "make_default", "delete_policy"},
    "domains": {"assign_policy"},
}
# Functions that write a factor and do not ask, because their callers do, or because the act needs no approval.
WITHOUT: dict[str, str] = {
    "devices/stolen.py:_force_pin": "the user must choose another PIN",
    "devices/stolen.py:_secure_token": "it disables the token",
    "emergency/offline.py:_log_code_shown": "_show asks before",
    "emergency/offline.py:_set_online": "HARMLESS",
    "emergency/online.py:_store": "_give_in asks before; users give themselves access with two other factors",
    "sessions/passkeys.py:insert_passkey": "users themselves, or a link, which asked when it was made",
    "sign_in/pin_changes.py:store_pin": "set_pin_of asks before; users themselves",
    "sign_in/pin_changes.py:take_pin": "clear_pin asks before",
    "tokens/imports.py:_insert": "the tokens have no user; it counts when they get one",
    "tokens/life_cycle.py:_give": "assign and replace ask before",
    "tokens/tokens.py:insert_token": "add_token asks before; a link, which asked when it was made",
    "tokens/tokens.py:mark_lost": "set_lost asks before; users report a loss",
}


@pytest.mark.parametrize("name", [each.name for each in OPERATIONS if not each.only_looks])
def test_s48_each_changing_operation_is_in_the_table_of_acts(name: str) -> None:
    assert (name in WITH_ACTS) is not (name in HARMLESS), "say in core/emergency/acts.py what it replaces, or why not"


def test_s48_the_table_of_acts_names_use_cases_that_exist() -> None:
    names = {each.name for each in OPERATIONS if not each.only_looks}
    assert WITH_ACTS - names == ELSEWHERE
    assert HARMLESS.keys() <= names


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions of the use cases by path and name."""
    for path in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(APP)}:{node.name}", node


def calls(function: ast.FunctionDef) -> set[str]:
    """Return the names that the function calls, as written."""
    called = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return {ast.unparse(each) for each in called if isinstance(each, ast.Name | ast.Attribute)}


CALLS = {name: calls(function) for name, function in functions()}
WRITING = {
    name
    for name, called in CALLS.items()
    if called & {f"{module}.{writer}" for module, writers in WRITERS.items() for writer in writers}
}


def test_s48_each_writer_of_a_factor_asks_for_a_second_person() -> None:
    """A new way to write one fails here, until it asks, or says why it does not."""
    asking = {name for name in WRITING if CALLS[name] & _asking()}
    assert WRITING - asking == WITHOUT.keys()


def _asking() -> set[str]:
    """Return the names of functions that ask: those of `second_person`, and helpers that call them."""
    helpers = {name.partition(":")[2] for name, called in CALLS.items() if called & {*ASKS}}
    return {*ASKS, "verify", *(name for name in helpers if name.startswith("_verify"))}


def test_s48_the_writers_are_those_of_storage() -> None:
    """A renamed statement of `storage` must not leave the rule without a subject."""
    found = set[str]().union(*CALLS.values())
    for module, writers in WRITERS.items():
        for writer in writers:
            assert f"{module}.{writer}" in found, f"nobody calls {module}.{writer}"


@pytest.mark.parametrize("kind", sorted(set(OperatorAct) - {OperatorAct.TOKEN_IMPORTED}))
def test_s48_each_act_is_asked_about_somewhere(kind: OperatorAct) -> None:
    modules = [path for path in APP.rglob("*.py") if f"OperatorAct.{kind.name}" in path.read_text()]
    assert modules, "no use case asks for a second person at this act"


def test_s48_who_asks_does_so_in_a_transaction_that_keeps_the_request() -> None:
    """`verify_second_person` leaves the transaction; only `acting` saves the request then."""
    for path in APP.rglob("*.py"):
        text = path.read_text()
        if any(f"{asks}(" in text for asks in ASKS) and path.name != "second_person.py":
            assert "acting(instance)" in text, path
