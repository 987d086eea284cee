"""HTTP over TCP and TLS: uvicorn's protocol, behind admission (S46).

Rules:
- A connection is counted before a byte of it is read, and TLS begins only after its first bytes have come.
- Handshakes begin in turns, a few in each turn of the event loop, so that a flood of them delays others by
  milliseconds.
- A head must be complete five seconds after its connection, or after its first byte. No head is larger than 64 KiB.
- The next request of a connection, and the rest of a body that is no longer read, have limits of time as well.
"""
