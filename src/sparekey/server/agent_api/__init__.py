"""The agent API (spec/agent-api.md): requests of devices, each signed by the key made on the device."""
