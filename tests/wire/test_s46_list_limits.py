"""S46: every list of every message between agent and server has a limit, and the limits are what a device can need."""

import dataclasses
import inspect
import typing
from typing import TYPE_CHECKING

import pytest

from sparekey.app.tokens import life_cycle
from sparekey.core.offline.self_report import MOST_EXEMPT
from sparekey.core.policy.offline import FIELDS
from sparekey.wire import agent_api as api
from sparekey.wire.messages import BadMessage, decode, encode, most_items

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MESSAGES = [kind for _, kind in inspect.getmembers(api, dataclasses.is_dataclass)]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_s46_every_list_of_a_message_has_a_limit(kind: "type[DataclassInstance]") -> None:
    hints = typing.get_type_hints(kind)
    lists = {name for name, hint in hints.items() if typing.get_origin(hint) is list}
    assert most_items(kind).keys() == lists


def test_the_limits_are_the_largest_values_of_policies() -> None:
    assert FIELDS["users_per_device"].high == api.MOST_USERS
    assert life_cycle.MOST_TOKENS == api.MOST_TOKENS
    days_and_code = FIELDS["days"].high + 1 + 1  # today comes before the days of the policy
    assert days_and_code * api.MOST_TOKENS + 1 == api.MOST_UNITS
    assert MOST_EXEMPT == api.MOST_EXEMPT


def test_a_list_has_its_most_items_and_no_more() -> None:
    full = api.AcknowledgementRequest(unit_hashes=["00"] * api.MOST_HASHES)
    assert decode(api.AcknowledgementRequest, encode(full)) == full
    more = api.AcknowledgementRequest(unit_hashes=["00"] * (api.MOST_HASHES + 1))
    with pytest.raises(BadMessage, match="a list of at most 1000"):
        decode(api.AcknowledgementRequest, encode(more))
