"""Gate commands: what goes in from files, what comes out as JSON."""
