"""One module for each command; each has `run(arguments) -> int`, which returns the exit code. Anything else is a model to estimate."""

COMMANDS = {
    "models": "the architectures that are bundled",
    "profiles": "the hardware that is described; profiles show H100 prints one part with its sources",
    "what-if": "voltage, gating, smaller node, quantisation, pruning: what each would save",
    "validate": "predictions beside published measurements, or beside your own",
    "measure": "run controlled work on the device at hand and measure it",
    "calibrate": "fit the few physical constants to measured rows",
    "check": "sanity against published figures; check flops gpt2 compares counters",
}
