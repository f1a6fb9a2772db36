"""The rows of `suites.toml` as PyTorch calls: `bench.py` runs them on a device; the other files build them, by task."""
