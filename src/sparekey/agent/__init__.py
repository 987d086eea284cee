"""The daemon on a protected computer: keeps the sealed units, decides online or offline, answers login shims."""
