"""Protected computers: invite, enrol, inspect, revoke, report as stolen."""
