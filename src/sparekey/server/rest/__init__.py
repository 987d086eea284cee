"""The REST API: programs ask whether a passcode is right, with a key of their own."""
