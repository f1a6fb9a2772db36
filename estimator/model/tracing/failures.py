"""What went wrong in a trace, where, and the way out."""

from estimator.errors import MissingInputs, TraceError

VALUES = (
    "if it stems from an input, give that input as a real integer tensor, whose values are kept; "
    "otherwise replace the branch by an operation on whole tensors, such as torch.where"
)


class NeedsValue(TraceError):
    """A module that branches on a value which depends on weights or activations."""

    def __init__(self, op: str, path: str) -> None:
        super().__init__(
            f"{op} in {place(path)} needs the value of a tensor that depends on weights or activations, "
            f"and a trace knows shapes only; {VALUES}."
        )


def place(path: str) -> str:
    """A module path for a message."""
    return f"module {path!r}" if path else "the model's own forward"


def explain(error: BaseException, op: str | None, path: str, shapes: str) -> TraceError:
    """The estimator's error for whatever a model raised while it ran on meta tensors."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, NotImplementedError) and ("Meta" in text or "meta" in text):
        what = f"{op} has no meta kernel" if op else "a tensor without values was read"
        way = "Register one (torch.library.register_fake), compute it outside the model, or replace the operation."
        return TraceError(f"{what}, in {place(path)}: {text[:300]}. {way}")
    where = f"{op}{shapes} in {place(path)}" if op else place(path)
    hint = "Check the shapes and dtypes of the inputs given to trace(), and that the model runs on the meta device."
    return TraceError(f"{where} failed: {type(error).__name__}: {text[:400]}. {hint}")


def missing_inputs(model: object, error: TypeError, expected: str) -> MissingInputs:
    """A model called with arguments that its forward does not take."""
    return MissingInputs(
        f"{type(model).__name__}.forward{expected} cannot be called with the inputs given: {error}. "
        "Pass example inputs, trace(model, *inputs, **kwargs); shapes and dtypes suffice, as in torch.empty(1, 128, device='meta')."
    )
