"""The local socket that login programs ask."""
