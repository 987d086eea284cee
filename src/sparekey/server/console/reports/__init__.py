"""Home, readiness, reports, search, and why a user can sign in."""
