"""The server itself: create and upgrade its database, and describe its state."""
