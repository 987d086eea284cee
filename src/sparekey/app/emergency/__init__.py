"""Emergency codes for the help desk: show, approve, reset, and give online access."""
