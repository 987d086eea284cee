"""The audit log: read it, chain it, verify it, and tell people and programs about its events."""
