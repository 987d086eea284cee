"""Who may sign in, and what changes as a result: pure rules over values, no I/O, no clock (time is an argument)."""
