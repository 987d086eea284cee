"""Searches of users, tokens and devices that stay fast among a million rows (ADR 16)."""
