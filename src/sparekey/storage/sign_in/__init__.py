"""The statements of the sign-in path, and open challenges."""
