"""Policies: add, edit, preview, assign and remove."""
