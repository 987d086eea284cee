"""Adapters of the agent to POSIX, PAM, the service manager and its configuration file."""
