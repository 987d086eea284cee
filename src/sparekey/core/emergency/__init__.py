"""Rules of emergency codes, offline and online, and of showing them."""
