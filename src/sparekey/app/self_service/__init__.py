"""Use cases of the self-service console: users manage their own devices, tokens and codes."""
