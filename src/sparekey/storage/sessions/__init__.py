"""Sessions, passkeys and API clients."""
