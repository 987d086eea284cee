"""Tokens, alone and in bulk."""
