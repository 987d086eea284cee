"""Programs that build and test the Debian packages (packaging/deb), beside Debian's own."""
