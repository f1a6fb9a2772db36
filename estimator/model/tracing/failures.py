"""What went wrong in a trace, where, and the way out."""

from estimator.errors import MissingInputs, TraceError

VALUES = (
    "and a trace knows shapes only. If it stems from an input, give that input as a real integer tensor, whose values are kept; "
    "otherwise replace the branch by an operation on whole tensors, such as torch.where."
)
READS = ("meta device type tensor to numpy", "tolist() shouldn't be called", "cannot be called on meta", "Cannot copy out of meta tensor")
ADVICE = (
    ("FlexAttention", "Use scaled_dot_product_attention (for models of transformers attn_implementation='sdpa')."),
    ("quantized", "Modules of torch.ao.quantization hide their weights: trace the float module and `quantize` the trace."),
    ("Sparse", "Sparse layouts are not supported: use dense tensors (for embeddings sparse=False)."),
    ("", "Check the shapes and dtypes of the inputs given to trace(), and that the model runs on the meta device."),
)


class NeedsValue(TraceError):
    """A module that branches on a value which depends on weights or activations."""

    def __init__(self, what: str, path: str) -> None:
        super().__init__(f"{what} in {place(path)} needs the value of a tensor that depends on weights or activations, {VALUES}")


def place(path: str) -> str:
    """A module path for a message."""
    return f"module {path!r}" if path else "the model itself"


def mark(error: BaseException, path: str, op: str | None = None, shapes: str = "") -> None:
    """Write on an exception where it arose, unless an inner place did; to keep the exception would keep its frames' tensors."""
    if not hasattr(error, "traced_at"):
        error.traced_at = (op, path, shapes)  # type: ignore[attr-defined]


def explain(error: BaseException) -> TraceError:
    """The estimator's error for whatever a model raised while it ran on meta tensors."""
    op, path, shapes = getattr(error, "traced_at", (None, "", ""))
    text = " ".join(str(error).split()).rstrip(".") or "no message"
    if any(read in text for read in READS):
        return NeedsValue(op or "a read of values (.tolist(), .numpy(), …)", path)
    if op and isinstance(error, NotImplementedError) and "meta" in text.lower():
        register = "Register one with torch.library.register_fake, compute it outside the model, or replace the operation."
        way = next((advice for word, advice in ADVICE if word and word in op), register)
        return TraceError(f"{op}{shapes} in {place(path)} has no meta kernel, so its output shape is unknown. {way}")
    where = f"{op}{shapes} in {place(path)}" if op else place(path)
    advice = next(advice for word, advice in ADVICE if word in text)
    return TraceError(f"{where} failed: {type(error).__name__}: {text[:400]}. {advice}")


def missing_inputs(model: object, error: TypeError, expected: str) -> MissingInputs:
    """A model called with arguments that its forward does not take."""
    return MissingInputs(
        f"{type(model).__name__}.forward{expected} cannot be called with the inputs given: {error}. "
        "Pass example inputs, trace(model, *inputs, **kwargs); shapes and dtypes suffice, as in torch.empty(1, 128, device='meta')."
    )
