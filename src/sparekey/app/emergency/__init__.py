"""Emergency codes for the help desk: list, show, approve, reset, and give online access."""
