"""Commands for sessions at a server, API clients and the first administrator."""
