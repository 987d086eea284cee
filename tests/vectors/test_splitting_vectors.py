"""splitting/*.txt against `sparekey.passcode.split`."""

import json
from pathlib import Path

import pytest

from sparekey.passcode import Shape, emergency_passcode, emergency_tokencode, online_emergency, split, tokencode
from spec.vectors.vector_file import parse

VECTORS = sorted((Path(__file__).parents[2] / "spec/vectors/splitting").glob("*.txt"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
@pytest.mark.parametrize("alone", [emergency_passcode(), emergency_tokencode(with_pin=False)], ids=["user", "token"])
def test_splitting_vector(path: Path, alone: Shape) -> None:
    fields, _ = parse(path.read_text())
    names = {_shape(name, alone): name for name in fields["shapes"].split(", ")}

    reading = split(json.loads(fields["typed"]), names)

    if fields["expect"].startswith("["):
        found = [[names[one.shape], one.pin.reveal(), one.code.reveal()] for one in reading.candidates]
        assert found == json.loads(fields["expect"])
    else:
        assert reading.candidates == ()
        assert fields["expect"] == _refusal(reading.misread)


def _shape(name: str, alone: Shape) -> Shape:
    kind, digits, pin = name.split()
    with_pin = pin == "pin"
    if kind == "tokencode":
        return tokencode(int(digits), with_pin=with_pin)
    if kind == "online":
        return online_emergency(with_pin=with_pin)
    return emergency_tokencode(with_pin=True) if with_pin else alone


def _refusal(misread: tuple[int, ...]) -> str:
    return "misread " + " ".join(map(str, misread)) if misread else "wrong passcode"
