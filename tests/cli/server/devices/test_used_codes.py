"""`sparekey device used-codes` and `sparekey user used-codes`."""

from pathlib import Path

from sparekey.clock import now as clock_now
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import a_device, a_user, granted
from tests.cli.server.commands import Operator


def test_both_commands_list_the_codes_that_a_device_used_up(operator: Operator) -> None:
    instance = open_instance(operator.data, read_settings(Path(operator.data), {}))
    now = clock_now()
    alice, device = a_user(instance, "alice", now=now), a_device(instance, "laptop", now=now)
    granted(device.sign_in(alice, now - 600).outcome)
    device.event(alice, at=now, method="tokencode", token=alice.token_id, step=alice.step(now))
    device.upload(now)
    instance.database.close()
    for command in (("device", "used-codes", "laptop"), ("user", "used-codes", "alice")):
        (used,) = operator.runs(*command).json["used-codes"]
        assert (used["device"], used["user"], used["token"]) == ("laptop", "alice", alice.serial)
        assert (used["codes"], used["successes"]) == (2, 1)
        assert used["first"] == used["last"]
