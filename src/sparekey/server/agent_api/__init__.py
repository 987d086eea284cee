"""The agent API (spec/agent-api.md): devices ask, each request signed by the key made on the device."""
