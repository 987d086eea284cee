"""The Security Console: the pages of help desk, administrators and security officers."""
