"""Searches that stay fast among a million rows."""
