"""Explanations: why a user can sign in or not, online and offline, and how ready they are."""
