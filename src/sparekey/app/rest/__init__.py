"""The registry of operations that REST, its description and the remote command line share."""
