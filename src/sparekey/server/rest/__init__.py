"""The REST API: programs with a key of their own verify passcodes and administer the server."""
