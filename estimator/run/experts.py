"""Products of experts as serving engines run them: rows padded for each expert, by tiles that are not always chosen well.

Weights in 16 bits go through a Triton kernel. It has tuned tiles where every rank holds all experts; where they are spread over ranks
vLLM falls back on a default, few rows a tile while there are fewer tokens than experts on the rank, many beyond that, which pads
each expert's few rows and leaves loads of weights short. Rows for other ranks' experts are written as zeros. Narrow formats go through
grouped kernels that align each expert's rows and run over a buffer with room for the rows of all ranks (DeepGEMM).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from estimator.hardware.schema import Profile
from estimator.model.work import Kernel
from estimator.run.entry import Asked
from estimator.run.roles import is_grouped, widths
from estimator.run.stack import EXPERTS, Engine, streamed_share

ROUTING = "fused.routing"


def on_engine(
    items: Sequence[Asked], kernels: Sequence[Kernel], tokens: float, ranks: int, engine: Engine, profile: Profile
) -> Iterator[Asked]:
    """What a step asks of one of `ranks` with `tokens` of all ranks: products of experts, and what is around them, as engines run them."""
    first: Kernel | None = None  # of two products, while the second has not run
    scaled = any(_is_product(kernel) and _is_narrow(kernel) for kernel in kernels)
    for item, kernel in zip(items, kernels):
        if _is_product(kernel):
            yield _product(item, kernel, tokens, ranks, engine, profile)
            first = kernel if first is None else None
        elif first is not None and _is_narrow(first):
            yield _over(item, buffered(first, ranks, engine) / (_rows(first) * ranks))
        elif scaled and kernel.name == ROUTING and "experts" in kernel.module:
            yield replace(item, launches=item.launches * engine.expert_sorts)
        else:
            yield item


def buffered(kernel: Kernel, ranks: int, engine: Engine) -> float:
    """Rows of the buffer that grouped kernels for narrow formats run over: those of all ranks, and what aligning each expert's may take."""
    return _rows(kernel) * ranks + kernel.signatures[0]["weight"].shape[0] * (engine.expert_alignment - 1)


def touched(kernel: Kernel) -> tuple[float, float]:
    """(experts of one rank that get rows, share of its experts that do): more than one rank's fluctuate around these means."""
    signature = kernel.signatures[0]
    experts, rows, picks = signature["weight"].shape[0], _rows(kernel), signature.get("picks", 1)
    missed = (1 - picks / experts) ** (rows / picks) if picks < experts else 0.0
    return experts * (1 - missed), 1 - missed


def _is_product(kernel: Kernel) -> bool:
    return kernel.kind == "matmul" and is_grouped(kernel.signatures[0])


def _is_narrow(kernel: Kernel) -> bool:
    return bool(kernel.signatures[0].get("scaled_output", False))


def _rows(kernel: Kernel) -> float:
    return kernel.signatures[0].outputs[0].shape[0]


def _product(item: Asked, kernel: Kernel, tokens: float, ranks: int, engine: Engine, profile: Profile) -> Asked:
    demand, (k, n) = item.demand, widths(kernel.signatures[0])
    if _is_narrow(kernel):  # rows without a token hold what was there before, so they cost what tokens do
        macs = max(buffered(kernel, ranks, engine) * k * n, demand.macs)
        filled, slots = demand.macs + demand.mac_padding, max(demand.mac_slots, macs / engine.expert_tensor_share)
        return replace(item, demand=replace(demand, macs=macs, mac_slots=slots, mac_padding=max(filled - macs, 0.0)))
    if ranks == 1:
        return item
    large = tokens > kernel.signatures[0]["weight"].shape[0]
    tile, (reached, _) = engine.expert_rows_large if large else engine.expert_rows_small, touched(kernel)
    # the last tile of an expert is half full on the mean
    macs = max(max(reached * tile, _rows(kernel) + reached * tile / 2) * k * n, demand.macs)
    zeros = (ranks - 1) * sum(out.bytes for out in kernel.signatures[0].outputs)
    changed = replace(
        demand, mac_slots=max(demand.mac_slots, macs), mac_padding=macs - demand.macs,
        l2_bytes=demand.l2_bytes + zeros, memory_bytes=demand.memory_bytes + zeros,
    )  # fmt: skip
    if not large:
        return replace(item, demand=changed)
    return replace(item, demand=replace(changed, memory_share=streamed_share(engine.expert_load_rate, profile)), kind=EXPERTS)


def _over(item: Asked, times: float) -> Asked:
    """A pass over so many times as many rows."""
    demand = item.demand
    more = {name: getattr(demand, name) * times for name in ("vector_ops", "special_ops", "l2_bytes", "memory_bytes")}
    return replace(item, demand=replace(demand, **more))
