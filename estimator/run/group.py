"""What the devices of a parallel group exchange in one pass through a model."""

from collections.abc import Sequence

from estimator.hardware.collective import collective, fastest_link
from estimator.hardware.schema import Profile
from estimator.model.work import BYTES, Kernel
from estimator.run.collective import Exchange
from estimator.run.parallel import Parallel
from estimator.run.roles import GROUPED, block_of, sums, widths


class Group:
    """Devices that share a model as `parallel` says, joined by the fastest link of `profile`."""

    def __init__(self, profile: Profile, parallel: Parallel) -> None:
        self.profile, self.parallel = profile, parallel
        self.link = fastest_link(profile) if parallel.devices > 1 else ""

    def exchanges(self, kernels: Sequence[Kernel], rows: float, logits: float) -> list[Exchange]:
        """Sums over tensor-parallel ranks, tokens sent to experts of other replicas and back, states sent to the next stage.

        `kernels` are those of the whole model, `rows` the tokens that pass through its layers, `logits` those that reach its head.
        """
        head = next((kernel for kernel in reversed(kernels) if kernel.kind == "matmul"), None)
        if not self.link or head is None:
            return []
        width, vocabulary = widths(head.signatures[0])
        size, found = rows * width * BYTES[head.format], []
        for kernel, launches in sums(kernels):
            if self._spread(kernel):
                for kind in ("all_gather", "reduce_scatter"):
                    found.append(self._exchange(kind, size * self.parallel.data, self.parallel.data, kernel, launches))
            found.append(self._exchange("all_reduce", size, self.parallel.tensor, kernel, launches))
        found.append(self._exchange("all_reduce", size, self.parallel.tensor, None, 1.0))  # embeddings, cut by vocabulary
        found.append(self._exchange("all_gather", logits * vocabulary * BYTES[head.format], self.parallel.tensor, head, 1.0))
        found.append(self._exchange("point_to_point", size, self.parallel.pipeline, None, float(self.parallel.pipeline)))
        return [exchange for exchange in found if exchange.collective.ranks > 1]

    def exchanges_looking(self, kernels: Sequence[Kernel], width: int) -> list[Exchange]:
        """Sums over tensor-parallel ranks in a vision tower of that width, whose `kernels` are those of the whole tower."""
        if self.parallel.tensor == 1:
            return []
        found = []
        for kernel, launches in sums(kernels, width):
            size = kernel.signatures[0].outputs[0].bytes
            found.append(self._exchange("all_reduce", float(size), self.parallel.tensor, kernel, launches))
        return found

    def _spread(self, kernel: Kernel) -> bool:
        return self.parallel.data > 1 and self.parallel.expert > 1 and (kernel.signatures[0].op == GROUPED or "expert" in kernel.module)

    def _exchange(self, kind: str, size: float, ranks: int, kernel: Kernel | None, launches: float) -> Exchange:
        one = collective(kind, size, ranks, self.profile.links[self.link], self.link)
        layers = kernel.layers if kernel else ()
        return Exchange(one, launches / max(len(layers), 1), block_of(kernel.module) if kernel else "", layers)
