"""Style sheet, scripts and icons: read and compressed once, and cached by browsers until they change."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PREFIX: Final = "/assets/"
_KEPT: Final = "public, max-age=31536000, immutable"  # the address changes with the content


@dataclass(frozen=True)
class Asset:
    content: bytes
    compressed: bytes
    media_type: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """Return all files of `static` by name."""
    return {
        file.name: _asset(file.name, file.read_bytes())
        for file in resources.files("sparekey.server.web").joinpath("static").iterdir()
        if file.is_file()
    }


def _asset(name: str, content: bytes) -> Asset:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    version = hashlib.sha256(content).hexdigest()[:12]
    return Asset(content, gzip.compress(content, 9, mtime=0), kind, version)


def address_of_asset(name: str) -> str:
    """Return the address of an asset. Raises KeyError if there is none of this name."""
    return f"{PREFIX}{name}?v={assets()[name].version}"


def routes() -> list[Route]:
    """GET assets."""

    async def asset(request: Request) -> Response:
        found = assets().get(request.path_params["name"])
        if found is None:
            return Response(status_code=404)
        headers = {"Cache-Control": _KEPT, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                found.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=found.media_type
            )
        return Response(found.content, headers=headers, media_type=found.media_type)

    return [Route(PREFIX + "{name}", asset, methods=["GET"])]
