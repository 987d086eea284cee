"""Tokens: add, import, assign, edit, resynchronise and remove."""
