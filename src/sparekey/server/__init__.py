"""The server over HTTP: agent API, REST API and web pages.

Each of them parses a request, calls one use case and answers.
"""
