"""Reads an XML file entry by entry, so that only one entry is in memory at a time.

Rules: no document type and therefore no entity (defusedxml refuses them where they begin); depth and size of an entry
are limited before it is read; any error of the XML refuses the whole file.
"""

import io
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree  # type: ignore[import-untyped] # the package ships no types
from defusedxml import DefusedXmlException

from sparekey.core.errors import BadInput

DEEPEST: Final = 32
MOST_ELEMENTS: Final = 1_000  # in one entry; a PSKC key package has about 20
_MEND: Final = "export the file again from its source"


def walk(data: bytes) -> Iterator[Element]:
    """Yield the root (at its beginning, without content), then each of its children completely. Raises BadInput."""
    depth = elements = 0
    root: Element | None = None
    try:
        for event, element in defusedxml.ElementTree.iterparse(io.BytesIO(data), ("start", "end"), forbid_dtd=True):
            if event == "start":
                depth, elements = depth + 1, elements + 1
                if depth > DEEPEST or elements > MOST_ELEMENTS:
                    raise BadInput("the file nests too much in one record to be a file of tokens", _MEND)
                if root is None:
                    root = element
                    yield element
            else:
                depth -= 1
                if depth == 1 and root is not None:
                    yield element
                    elements = 0
                    root.clear()
    except DefusedXmlException:
        raise BadInput(
            "the file declares a document type or an entity, which no file of tokens does",
            "do not trust it: ask where it comes from",
        ) from None
    except ParseError as error:
        line = error.position[0]
        raise BadInput(f"the file is no XML from line {line} on", _MEND) from None
    except (ValueError, LookupError):  # a character set that the parser does not know
        raise BadInput("the file is in a character set that is not read", "save it in UTF-8") from None


def local_name(element: Element) -> str:
    """Return the element's name without the namespace."""
    return str(element.tag).rpartition("}")[2]


def text_of(element: Element | None) -> str:
    """Return the element's text without white space at the ends; "" if there is no element."""
    return "" if element is None else (element.text or "").strip()
