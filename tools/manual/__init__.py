"""The manual pages and completions of both programs, written from their own parsers, so that they cannot fall behind.

`python -m tools.manual DIRECTORY` writes them all; the packages are built with what it writes.
"""
