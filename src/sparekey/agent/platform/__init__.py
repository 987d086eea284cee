"""What the agent needs of POSIX, of PAM, of the service manager and of its configuration file."""
