"""The enrolment of a computer as a device. The pin in the enrolment code is compared before the secret is sent.

- The CA and the signing key are fetched without trust. They are accepted only if they match the pin in the code.
- The secret is sent over TLS under this CA only. The private key is made here and never leaves.
"""

from dataclasses import dataclass
from pathlib import Path

from sparekey.agent.contact.replies import after_contact
from sparekey.agent.contact.server_client import ServerConnection, accepted, read_address, trusting, trusting_nobody_yet
from sparekey.agent.ground.ports import ENROL_AGAIN, Clock, Files, StoreUnreadable
from sparekey.agent.ground.state import Enrolment, State, new_state
from sparekey.agent.store.key_choice import Made, make_keys
from sparekey.agent.store.store import STATE, Store
from sparekey.agent.tpm.protection import protection_of
from sparekey.https_client import Address
from sparekey.wire import agent_api as api
from sparekey.wire.enrolment import EnrolmentCode, proof_message
from sparekey.wire.messages import decode, encode

PATIENCE = 15  # seconds


class AlreadyEnrolled(Exception):
    """There is a store here, and enrolling would destroy it."""


@dataclass(frozen=True)
class Enrolled:
    """A newly enrolled device, with a sentence on where its keys are."""

    state: State
    protection: str
    words: str

    @property
    def enrolment(self) -> Enrolment:
        return self.state.enrolment


def enrol(url: str, code: EnrolmentCode, name: str, directory: Path, files: Files, clock: Clock, tpm: str) -> Enrolled:
    """Enrol this computer and write its store, with keys as `key_choice.make_keys` chooses them.

    Raises BadEnrolmentCode, BadAddress, AlreadyEnrolled, NotReached, Refused or StoreUnreadable.
    """
    address = read_address(url)
    verify_free(directory)
    trust = _fetch_trust(address)
    ca_certificate = bytes.fromhex(trust.ca_certificate)
    code.verify_server(bytes.fromhex(trust.signing_key), ca_certificate)
    made = _fresh_keys(directory, files, tpm)
    keys = made.keys
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
        # Safe because only the key that matched the pin in the code is pinned, and no key of the reply.
        signing_keys=[trust.signing_key],
        checkpoint_key=reply.checkpoint_key,
    )
    state = after_contact(new_state(enrolment), clock.reading(), reply.server_time)
    store = Store.create(directory, files, keys, clock, state)
    return Enrolled(store.state, protection_of(keys), made.words)


def verify_free(directory: Path) -> None:
    """Raise AlreadyEnrolled if there is a store."""
    if (directory / STATE).exists():
        raise AlreadyEnrolled(f"this computer is already enrolled ({directory}); to enrol it again, {ENROL_AGAIN}")


def _fetch_trust(address: Address) -> api.TrustReply:
    connection = ServerConnection([address], trusting_nobody_yet())
    connection.allow(PATIENCE)
    try:
        return decode(api.TrustReply, accepted(*connection.request("GET", api.TRUST, b"", {})))
    finally:
        connection.close()


def _post_enrol(address: Address, ca_certificate: bytes, request: api.EnrolRequest) -> api.EnrolReply:
    connection = ServerConnection([address], trusting(ca_certificate))
    connection.allow(PATIENCE)
    headers = {"Content-Type": "application/json"}
    try:
        return decode(api.EnrolReply, accepted(*connection.request("POST", api.ENROL, encode(request), headers)))
    finally:
        connection.close()


def _fresh_keys(directory: Path, files: Files, tpm: str) -> Made:
    """Make new keys, in place of those of an enrolment that failed."""
    try:
        if directory.exists():
            files.verify_directory(directory)
        return make_keys(directory, files, tpm)
    except OSError as error:
        raise StoreUnreadable("unsafe", f"cannot write to {directory}: {error.strerror}; run this as root") from error
