"""Pages of API clients and of administrators' own sessions and passkeys."""
