"""Offline emergency codes, online emergency access, approvals, and operators' rate limits."""
