"""The decision who may sign in, its outcomes, PINs, passkeys and challenges."""
