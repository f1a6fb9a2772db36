"""Parts of the machine around an accelerator: facts in hardware_profiles/host/, read like those of the lower floors."""

import pytest

from estimator.facts import leaves, load_facts, profiles_dir
from estimator.hardware.catalogue import list_profiles, load_profile

NAMES = sorted(path.stem for path in (profiles_dir() / "host").glob("*.toml"))
STORAGE = [name for name in NAMES if "storage" in load_facts(f"host/{name}")]
SERVERS = [name for name in NAMES if "server" in load_facts(f"host/{name}")]


@pytest.mark.parametrize("name", NAMES)
def test_every_part_has_a_name_and_sourced_numbers(name):
    part = load_facts(f"host/{name}")
    assert part["name"] and leaves(part)
    for path, number in leaves(part).items():
        assert number.source and number.low <= number <= number.high, path
        assert number.status != "assumed" or number.low < number.high, path


@pytest.mark.parametrize("name", STORAGE)
def test_storage_draws_more_when_it_works(name):
    part = load_facts(f"host/{name}")["storage"]
    assert set(part) == {"capacity", "idle", "active", "read_bandwidth", "write_bandwidth"}
    assert 0 < part["idle"] < part["active"]
    assert part["write_bandwidth"] <= part["read_bandwidth"]


def test_a_byte_from_a_disk_costs_more_than_one_from_flash():
    # hard disk: (8.5 - 5.5) W / 0.27 GB/s = 11 nJ/B above idle; NVMe: (14 - 5) W / 7 GB/s = 1.3 nJ/B
    energy = {name: _energy_per_byte(load_facts(f"host/{name}")["storage"]) for name in STORAGE}
    assert energy["hdd"] == pytest.approx(11.1e-9, rel=0.01, abs=0)
    assert energy["ssd-nvme"] == pytest.approx(1.29e-9, rel=0.01, abs=0)


def _energy_per_byte(part) -> float:
    return (part["active"] - part["idle"]) / part["read_bandwidth"]


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_can_feed_its_accelerators(name):
    part = load_facts(f"host/{name}")
    assert part["accelerator"] in list_profiles()
    cap = part["server"].get("accelerator_limit", load_profile(part["accelerator"]).power.limit)
    assert part["server"]["accelerators"] * cap < part["server"]["limit"]


def test_there_are_disks_modules_and_servers():
    assert {"hdd", "ssd-nvme", "ssd-sata"} == set(STORAGE) and len(SERVERS) >= 12
    assert {"dimm-ddr4", "dimm-ddr5"} <= set(NAMES)
