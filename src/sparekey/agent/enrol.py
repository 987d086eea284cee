"""Making a computer a device: what the enrolment code pins is compared before its secret is sent.

- The CA and the signing key are fetched without trust and believed only if the code's pin stands for them.
- The secret goes over TLS by that very CA; the private key is made here and stays here.
"""

from pathlib import Path

from sparekey.agent.file_keys import FileKeys
from sparekey.agent.ports import Clock, Files, StoreUnreadable
from sparekey.agent.server_client import Address, Connection, accepted, read_address, trusting, trusting_nobody_yet
from sparekey.agent.state import Enrolment, State, new_state
from sparekey.agent.store import KEYS, STATE, Store
from sparekey.agent.trusted_days import after_contact
from sparekey.wire import agent_api as api
from sparekey.wire.enrolment import EnrolmentCode, proof_message
from sparekey.wire.messages import decode, encode

PATIENCE = 15  # seconds


class AlreadyEnrolled(Exception):
    """There is a store: it would be lost."""


def enrol(url: str, code: EnrolmentCode, name: str, directory: Path, files: Files, clock: Clock) -> State:
    """Enrols and writes the store.

    Raises `BadEnrolmentCode`, `BadAddress`, `AlreadyEnrolled`, `NotReached`, `Refused`.
    """
    address = read_address(url)
    verify_free(directory)
    trust = _fetch_trust(address)
    ca_certificate = bytes.fromhex(trust.ca_certificate)
    code.verify_server(bytes.fromhex(trust.signing_key), ca_certificate)
    keys = _fresh_keys(directory, files)
    secret = code.secret.reveal()
    public_key = keys.public_key()
    request = api.EnrolRequest(
        secret=secret.hex(),
        public_key=public_key.hex(),
        proof=keys.sign(proof_message(secret, public_key)).hex(),
        name=name,
        supports_offline=True,
        hardware_bound=keys.hardware_bound,
    )
    reply = _post_enrol(address, ca_certificate, request)
    enrolment = Enrolment(
        device=reply.device,
        name=reply.name,
        servers=[address.url],
        ca_certificate=ca_certificate.hex(),
        # Pinned is what the code stands for; a key that came along only in the reply is not.
        signing_keys=[trust.signing_key],
        checkpoint_key=reply.checkpoint_key,
    )
    state = after_contact(new_state(enrolment), clock.reading(), reply.server_time)
    return Store.create(directory, files, keys, clock, state).state


def verify_free(directory: Path) -> None:
    """Raises `AlreadyEnrolled` where a store is."""
    if (directory / STATE).exists():
        raise AlreadyEnrolled(
            f"this computer is enrolled already ({directory}); to begin anew: sparekey-agent clear --all"
        )


def _fetch_trust(address: Address) -> api.TrustReply:
    connection = Connection([address], trusting_nobody_yet())
    connection.allow(PATIENCE)
    try:
        return decode(api.TrustReply, accepted(*connection.request("GET", api.TRUST, b"", {})))
    finally:
        connection.close()


def _post_enrol(address: Address, ca_certificate: bytes, request: api.EnrolRequest) -> api.EnrolReply:
    connection = Connection([address], trusting(ca_certificate))
    connection.allow(PATIENCE)
    headers = {"Content-Type": "application/json"}
    try:
        return decode(api.EnrolReply, accepted(*connection.request("POST", api.ENROL, encode(request), headers)))
    finally:
        connection.close()


def _fresh_keys(directory: Path, files: Files) -> FileKeys:
    """New keys; those of an enrolment that did not come about are replaced."""
    if directory.exists():
        files.verify_directory(directory)
        files.remove(directory / KEYS)
    try:
        return FileKeys.create(directory, files)
    except OSError as error:
        raise StoreUnreadable("unsafe", f"cannot write to {directory}: {error.strerror}; run this as root") from error
