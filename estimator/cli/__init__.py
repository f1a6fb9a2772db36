"""One module for each command; each has `run(arguments) -> int`, which returns the exit code."""
