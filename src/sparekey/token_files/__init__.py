"""Reads files of tokens: CSV, PSKC (RFC 6030) and `.sdtid`. Pure: it turns bytes into token entries."""

from sparekey.token_files.entries import Item, RefusedEntry, TokenEntry
from sparekey.token_files.reading import LARGEST_FILE, MOST_ENTRIES, TokenFile, read_token_file

__all__ = ["LARGEST_FILE", "MOST_ENTRIES", "Item", "RefusedEntry", "TokenEntry", "TokenFile", "read_token_file"]
