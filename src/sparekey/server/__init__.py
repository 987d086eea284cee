"""The server's doors over HTTP: agent API and REST; each parses, calls one use case and answers."""
