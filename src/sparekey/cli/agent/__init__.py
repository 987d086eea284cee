"""The command `sparekey-agent`: enrols a device, signs in, runs the daemon; needs no package but `cryptography`."""
