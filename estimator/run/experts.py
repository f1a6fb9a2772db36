"""Products of experts as serving engines run them: rows padded for each expert, by tiles that are not always chosen well.

Weights in 16 bits go through a Triton kernel. It has tuned tiles where every rank holds all experts; where they are spread over ranks
vLLM falls back on a default, few rows a tile while there are fewer tokens than experts on the rank, many beyond that, which pads
each expert's few rows and leaves loads of weights short. Narrow formats go through grouped kernels that align each expert's rows and run
over a buffer with room for the rows of all ranks (DeepGEMM).
"""

from dataclasses import replace

from estimator.model.work import Kernel
from estimator.run.entry import Asked
from estimator.run.roles import is_grouped, widths
from estimator.run.stack import EXPERTS, Engine


def on_engine(item: Asked, kernel: Kernel, tokens: float, ranks: int, engine: Engine) -> Asked:
    """The demand of a product of experts on one of `ranks`, with `tokens` of all ranks; other kernels stay as they are."""
    signature = kernel.signatures[0]
    if kernel.kind != "matmul" or not is_grouped(signature):
        return item
    demand, narrow = item.demand, signature.get("scaled_output", False)
    if ranks == 1 and not narrow:
        return item
    rows, experts = signature.outputs[0].shape[0], signature["weight"].shape[0]
    large = tokens > experts
    if narrow:
        run = rows * ranks + experts * (engine.expert_alignment - 1)
    else:
        tile = engine.expert_rows_large if large else engine.expert_rows_small
        reached, _ = touched(kernel)
        run = max(reached * tile, rows + reached * tile / 2)  # the last tile of an expert is half full on the mean
    k, n = widths(signature)
    macs = max(run * k * n, demand.macs)
    if narrow:  # rows without a token hold what was there before, so they cost what tokens do
        changed = replace(demand, macs=macs, mac_slots=max(demand.mac_slots, macs / engine.expert_tensor_share))
        return replace(item, demand=changed)
    changed = replace(demand, mac_slots=max(demand.mac_slots, macs), mac_padding=macs - demand.macs)
    return (
        replace(item, demand=replace(changed, memory_share=engine.expert_memory_share), kind=EXPERTS)
        if large
        else replace(item, demand=changed)
    )


def touched(kernel: Kernel) -> tuple[float, float]:
    """(experts of one rank that get rows, share of its experts that do): more than one rank's fluctuate around these means."""
    signature = kernel.signatures[0]
    experts, rows, picks = signature["weight"].shape[0], signature.outputs[0].shape[0], signature.get("picks", 1)
    missed = (1 - picks / experts) ** (rows / picks) if picks < experts else 0.0
    return experts * (1 - missed), 1 - missed
