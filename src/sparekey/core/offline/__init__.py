"""Rules of the offline data that a device may hold."""
