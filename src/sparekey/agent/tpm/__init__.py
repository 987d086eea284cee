"""The TPM 2.0: commands, keys, errors, and the protection that the device reports."""
