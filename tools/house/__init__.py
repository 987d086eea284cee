"""Counts of the source and its English, and the ratchet that keeps them from rising (`python -m tools.sizes --all`)."""
