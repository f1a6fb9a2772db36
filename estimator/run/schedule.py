"""How micro-batches go through the stages of a pipeline: how long stages wait, what they hold, and what is hidden.

Bubbles as in table 2 of DeepSeek-AI, DeepSeek-V3 Technical Report, arXiv:2412.19437, for p stages, where a stage takes F seconds to go
forward with a micro-batch and B back, W of them for the gradients of weights: 1F1B (p - 1) (F + B), shorter by the number of stretches of
layers in each stage (Narayanan et al., arXiv:2104.04473); zero bubble, ZB1P, (p - 1) (F + B - 2 W) (Qi et al., arXiv:2401.10241); DualPipe,
which feeds from both ends and overlaps forward with backward, (p / 2 - 1) (F + 2 B - 3 W).
"""

from collections.abc import Mapping

from estimator.run.settings import Training

WEIGHTS = 1 / 2  # exact: of backward without recomputation, products for the gradients of weights being as many as for those of inputs
COPIES = 2  # exact: DualPipe holds the weights of two stages on each device, one for each direction


def bubble(run: Training, stages: int, count: float, busy: Mapping[str, float]) -> float:
    """Seconds that a stage waits in a step of `count` micro-batches, for which its phases take the seconds in `busy`."""
    weights = WEIGHTS * busy.get("backward", 0.0) / count
    forward, both = busy.get("forward", 0.0) / count, sum(busy.values()) / count
    if run.schedule == "zero-bubble":
        return (stages - 1) * (both - 2 * weights)
    if run.schedule == "dualpipe":
        return max(stages / 2 - 1, 0.0) * (2 * both - forward - 3 * weights)  # exact: table 2
    return (stages - 1) * both / run.interleave


def in_flight(run: Training, stages: int) -> float:
    """Micro-batches that the fullest stage holds at most."""
    if run.schedule == "dualpipe" and stages > 1:
        return stages + 1
    return stages * (1 + (stages - 1) / (stages * run.interleave) if run.interleave > 1 else 1)


def copies(run: Training, stages: int) -> int:
    """Stages whose weights a device holds."""
    return COPIES if run.schedule == "dualpipe" and stages > 1 else 1


def hides_exchanges(run: Training, stages: int) -> bool:
    """Whether exchanges of experts and between stages of one micro-batch hide behind another one's products."""
    return run.schedule == "dualpipe" and stages > 1
