"""The self-service console: users check and prepare their own access."""
