"""The server over HTTP: agent API, REST API and web pages; each parses a request, calls one use case and answers."""
