"""Reads files of tokens: CSV, PSKC (RFC 6030) and `.sdtid`. Bytes in, records out, nothing touched."""

from sparekey.token_files.reading import LARGEST_FILE, MOST_ENTRIES, TokenFile, read_token_file
from sparekey.token_files.records import Item, RefusedEntry, TokenEntry

__all__ = ["LARGEST_FILE", "MOST_ENTRIES", "Item", "RefusedEntry", "TokenEntry", "TokenFile", "read_token_file"]
