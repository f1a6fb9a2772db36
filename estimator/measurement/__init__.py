"""Measures on the hardware at hand, beside the prediction: read-only power meters, controlled work, tidy rows.

    meter.py     what every meter offers; meters/ NVIDIA (NVML), AMD (amdsmi), processors (RAPL)
    recorder.py  readings of a meter while something runs, and the energy between two moments
    suites.py    the work as rows without results; suites.toml says which
    work/        the same rows as PyTorch calls
    window.py    one row measured: warm-up, windows, spread
    campaign.py  all rows of a suite, written as one file or not at all
    session.py   `with estimator.measure(…) as m:` around a user's own code

Nothing here changes a clock, a power limit or any other setting of a device.
"""
