"""What people, programs and devices can do: one module per thing, each in the transaction of its effect and its audit
row. Nothing here reads a clock, a socket or a terminal."""
