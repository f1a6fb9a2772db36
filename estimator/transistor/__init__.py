"""Volts, farads and amperes: what it costs to switch a transistor, to hold it still, and how fast it can go."""
