"""What builds and tries the Debian packages (packaging/deb) beside Debian's own programs."""
