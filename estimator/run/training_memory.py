"""What a training step keeps in the memory of one device, by what it is."""

from estimator.model.work import BYTES
from estimator.run.adapters import held_bytes, trained_parameters
from estimator.run.parallel import Parallel
from estimator.run.settings import Training
from estimator.run.transformer import Shape, optimizer_of, sizes_of, state_of

ATTENTION_SHARE = 1 / 4  # exact: query, key, value and output of the sixteen or so vectors that a layer saves for each token


def memory_of(shape: Shape, run: Training, parallel: Parallel, microbatches: int = 1) -> dict[str, float]:
    """Bytes on the fullest device, the first pipeline stage: weights, gradients, optimizer state, activations."""
    model = shape.model
    own = _share(shape, parallel)
    trained = trained_parameters(model, run) / model.parameters
    narrow = BYTES[model.format]
    return {
        "weights": held_bytes(model, run) * own / (parallel.data if run.sharding == "zero3" else 1),
        "gradients": model.parameters * trained * narrow * own / (parallel.data if run.sharding in ("zero2", "zero3") else 1),
        "optimizer state": state_of(optimizer_of(model, run)) * trained * own / (parallel.data if run.sharding != "none" else 1),
        "activations": _activations(shape, run, parallel, microbatches),
    }


def _share(shape: Shape, parallel: Parallel) -> float:
    """Share of all weights that a device holds, before replicas share them."""
    experts = shape.expert_parameters / max(parallel.expert, parallel.tensor)
    return (shape.dense_parameters / parallel.tensor + experts) / parallel.pipeline / shape.model.parameters


def _activations(shape: Shape, run: Training, parallel: Parallel, microbatches: int) -> float:
    """Saved for backward: of as many micro-batches as are in flight in the first stage, at most one for each stage (1F1B)."""
    saved = shape.model.saved_bytes
    if saved is None:
        return 0.0
    whole = float(saved(**sizes_of(saved.symbols, run.batch, run.length))) / (parallel.tensor * parallel.sequence)
    flight = min(microbatches, parallel.pipeline) / parallel.pipeline
    flight *= 1 + (parallel.pipeline - 1) / (parallel.pipeline * run.interleave) if run.interleave > 1 else 1
    if run.recompute == "full":
        kept = run.batch * run.length * shape.width * shape.layers * BYTES[shape.model.format] / (parallel.tensor * parallel.sequence)
        return kept * flight + whole / shape.layers
    return whole * flight * (1 - ATTENTION_SHARE if run.recompute == "selective" else 1)
