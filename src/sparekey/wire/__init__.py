"""Messages between agent and server, and between login shim and agent: values and bytes, no I/O."""
