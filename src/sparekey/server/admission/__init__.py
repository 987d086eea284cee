"""Admission: shares connections and work fairly among all who ask, before anything is decided (S46).

Rules:
- A *party* is counted separately: a source (the network of an address) until it proves to be a device, an API client or
  the holder of a session.
- A limit takes from the largest party only, and only when others would go short: many honest devices may share one
  address.
"""
