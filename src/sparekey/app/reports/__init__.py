"""Readiness for a day without a network, the dashboard of a user, explanations and search."""
