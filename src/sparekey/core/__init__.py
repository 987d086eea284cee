"""The pure rules of the server: no I/O and no clock (time is an argument)."""
