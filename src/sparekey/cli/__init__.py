"""The two commands, `sparekey` and `sparekey-agent`; the only place that prints and sets exit codes."""
