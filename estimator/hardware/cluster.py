"""Many devices as one machine: nodes around them, adapters and tiers of switches between nodes, from one device to 100,000.

Placement is that of every library: neighbouring ranks share a node. So the cost of an estimate does not depend on the count.
"""

from functools import cache
from math import ceil, log

from pydantic import Field

from estimator.errors import InvalidSetting
from estimator.hardware.collective import with_link
from estimator.hardware.host import Host, load_host
from estimator.hardware.named import list_named, load_named
from estimator.hardware.schema import Link, Number, Profile, Section, Watt
from estimator.quantity import Numeric

NETWORK = "network"


class Cluster(Section):
    """A kind of cluster: its node, the link inside it, and the network between nodes. Made by `load_cluster`."""

    name: str
    notes: str = ""
    device: str = Field(description="the device profile that it usually holds")
    host: str = Field(description="its node in hardware_profiles/host")
    inside: str = Field(description="the device's link to the others of its node")
    network: str = Field(description="link generation between nodes in hardware_profiles/link")
    ports_per_device: Number = Field(description="network ports of a node ÷ its accelerators")
    radix: Number = Field(description="ports of a switch")
    port_power: Watt = Field(description="of a switch for each port, its optics included")

    @property
    def server(self) -> Host:
        """The node."""
        return load_host(self.host)

    @property
    def node_devices(self) -> int:
        """Accelerators of a node."""
        return int(self.server.accelerators)

    def profile(self, device: Profile) -> Profile:
        """The device with the network as one of its links, at its share of the node's ports."""
        wired = with_link(device, self.network, NETWORK)
        link = wired.links[NETWORK]
        shared = link.model_copy(update={"bandwidth": link.bandwidth.scaled(float(self.ports_per_device), "share of the ports of a node")})
        return wired.model_copy(update={"links": wired.links | {NETWORK: shared}})

    def link(self, device: Profile) -> str:
        """Name of the link inside a node; the host's bus where the device lacks the usual one."""
        return self.inside if self.inside in device.links else "pcie"

    def tiers(self, device: Profile, stride: int, ranks: int) -> list[tuple[int, Link, str]]:
        """(ranks, link, name) inside a node and between nodes, for a group of `ranks` devices that lie `stride` apart."""
        inside = min(ranks, max(1, self.node_devices // stride))
        name = self.link(device)
        levels = [(inside, device.links[name], name), (ceil(ranks / inside), device.links[NETWORK], NETWORK)]
        return [level for level in levels if level[0] > 1]

    def switch_levels(self, devices: int) -> int:
        """Levels of a fat tree that joins the devices' ports (Leiserson, 1985): k/2 ports down at each but the last; 0 inside one node."""
        ports = devices * float(self.ports_per_device)
        if devices <= self.node_devices:
            return 0
        return 1 if ports <= self.radix else 1 + ceil(log(ports / float(self.radix)) / log(float(self.radix) / 2))

    def network_power(self, devices: int, ports_per_device: Numeric = None, port_power: Numeric = None) -> Numeric:
        """W of all switches: a tree of L levels has 2 L - 1 switch ports for each port of a device; numbers as stated unless given."""
        ports = self.ports_per_device if ports_per_device is None else ports_per_device
        each = self.port_power if port_power is None else port_power
        return devices * ports * max(2 * self.switch_levels(devices) - 1, 0) * each


def list_clusters() -> list[str]:
    """Names of the bundled kinds of cluster."""
    return list_named("cluster")


@cache
def load_cluster(name: str) -> Cluster:
    """The `Cluster` of that name; raises `UnknownName` or `ProfileError`."""
    return load_named(Cluster, "cluster", name, "cluster")


def cluster_of(device: Profile) -> Cluster:
    """The kind of cluster that holds the device, or one of its family; raises `InvalidSetting` where none does."""
    from estimator.hardware.catalogue import load_profile

    known = [load_cluster(name) for name in list_clusters()]
    for cluster in known:
        if load_profile(cluster.device).name == device.name:
            return cluster
    for cluster in known:
        if load_profile(cluster.device).architecture == device.architecture:
            return cluster
    raise InvalidSetting(f"no cluster is known for {device.name}; name one as cluster=…: {', '.join(list_clusters())}")
