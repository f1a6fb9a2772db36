"""Where and how a training run takes place."""

from dataclasses import dataclass, replace

from estimator.hardware.cluster import Cluster
from estimator.hardware.schema import Profile
from estimator.quantity import Quantity
from estimator.run.parallel import Parallel
from estimator.run.practice import Practice
from estimator.run.stack import Stack


@dataclass(frozen=True)
class Site:
    """Where and how a run takes place."""

    profile: Profile
    stack: Stack
    practice: Practice
    cluster: Cluster | None
    parallel: Parallel

    def replaced(self, path: str, value: float) -> "Site":
        """The site with another number at `path`, such as "practice.restart"; the network is wired anew."""
        owner, _, name = path.partition(".")
        holder = getattr(self, owner)
        other = holder.model_copy(update={name: Quantity(value, getattr(holder, name).unit)})
        site = replace(self, **{owner: other})
        return replace(site, profile=site.cluster.profile(site.profile)) if site.cluster and owner == "cluster" else site
