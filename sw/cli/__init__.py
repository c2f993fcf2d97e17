"""Command line: one module a command, collected in `app`."""
