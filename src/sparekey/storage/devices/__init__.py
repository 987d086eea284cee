"""Devices, their invitations, and the offline data that they hold."""
