"""Serial links and optical modules: energy per bit, and power that flows whether data do or not."""

from estimator.errors import unknown_name
from estimator.facts import load_facts
from estimator.quantity import Numeric


def list_links() -> list[str]:
    """Names of links with an energy per bit, and of modules with a constant power."""
    facts = load_facts("physics/links")
    return sorted({*facts["link"], *facts["module"]})


def link_energy_per_bit(name: str) -> Numeric:
    """Energy in J/bit of a link (both ends), or of a module (one end) kept fully busy; raises `UnknownName`."""
    facts = load_facts("physics/links")
    if name in facts["link"]:
        return facts["link"][name]
    if name not in facts["module"]:
        raise unknown_name("link", name, list_links(), "`list_links()` gives all of them.")
    return module_energy_per_bit(**facts["module"][name])


def module_energy_per_bit(power: Numeric, rate: Numeric, utilization: Numeric = 1) -> Numeric:
    """Energy in J/bit of a module that draws `power` (W) all the time while it carries `utilization` of its `rate` (bit/s)."""
    return power / (rate * utilization)
