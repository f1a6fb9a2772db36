"""What every test relies on: no network, no clock, and a failure that can be repeated."""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that needs a download would pass only where somebody downloaded before

# No deadline: a loaded machine is no fault of the code. In CI the same examples are drawn each time, so that red means changed.
settings.register_profile(
    "steady", deadline=None, derandomize="CI" in os.environ, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
