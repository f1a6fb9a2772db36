"""Serial links and optical modules: energy per bit, and power that flows whether data do or not."""

from functools import cache

from estimator.errors import unknown_name
from estimator.facts import load_facts, profiles_dir
from estimator.quantity import Numeric, Quantity


@cache
def _links() -> dict[str, Quantity]:
    """Energy per bit of every link: those of `physics/links.toml` and the board links of the devices in `link/`."""
    board = {path.stem: load_facts(f"link/{path.stem}")["links"] for path in (profiles_dir() / "link").glob("*.toml")}
    energies = {name: link["energy_per_bit"] for name, links in board.items() for link in links.values()}
    return energies | load_facts("physics/links")["link"]


def list_links() -> list[str]:
    """Names of links with an energy per bit, and of modules with a constant power."""
    return sorted({*_links(), *load_facts("physics/links")["module"]})


def link_energy_per_bit(name: str) -> float:
    """Energy in J/bit of a link (both ends), or of a module (one end) kept fully busy; raises `UnknownName`."""
    modules = load_facts("physics/links")["module"]
    if name in _links():
        return _links()[name]
    if name not in modules:
        raise unknown_name("link", name, list_links(), "`list_links()` gives all of them.")
    return module_energy_per_bit(**modules[name])


def module_energy_per_bit(power: Numeric, rate: Numeric, utilization: Numeric = 1) -> Numeric:
    """Energy in J/bit of a module that draws `power` (W) all the time while it carries `utilization` of its `rate` (bit/s)."""
    return power / (rate * utilization)
