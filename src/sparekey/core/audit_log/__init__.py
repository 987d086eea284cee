"""Names and words of events, the chain over them, and its verification."""
