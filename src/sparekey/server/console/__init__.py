"""The Security Console: pages for the help desk, administrators and security officers."""
