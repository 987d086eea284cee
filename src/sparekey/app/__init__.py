"""Use cases: one module per thing that a person or an agent can do, and the ports that they need."""
