"""The command `sparekey`: administers and runs the server."""
