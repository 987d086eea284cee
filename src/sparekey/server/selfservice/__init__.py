"""The self-service console: users see and prepare their own spare key."""
