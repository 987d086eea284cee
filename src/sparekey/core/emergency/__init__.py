"""Rules of offline and online emergency codes: validity, replacement, rate limits and approval."""
