"""Suite "microbench": idle boards, and one benchmark over a grid of clock and power limits."""

from estimator.hardware.schema import Profile
from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.phase import host_gaps
from estimator.run.stack import host_seconds, load_stack
from estimator.units import to_si
from estimator.validation.chip import idle
from estimator.validation.hardware import profile_of
from estimator.validation.kernels import priced
from estimator.validation.prediction import Prediction, Steady
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.signatures import format_of, product

STREAM = TensorSpec((2**25,), "fp64")  # exact: BabelStream's default array
TERMS = TensorSpec((2**28,), "fp64")  # exact: far beyond what starting a kernel costs
# benchmarks whose arrays hold one value throughout, so that hardly a bit toggles: 0.1, 0.2 and 0.0 in BabelStream (Stream.h), and in
# sinkers/gpu-power-lab the byte 0x3c (workload_powervirus.cu) or, for 8-bit formats, 0x38 (gemm_lt.cu)
CONSTANT = {"babelstream", "powervirus"}
PER_TERM = 8  # exact: operations of one term of the series: index, shift, square, add, reciprocal (two steps), accumulate


def predict(row: Row) -> Prediction | Steady:
    """Power of a board at rest, or time and energy of a benchmark at the row's clock and power limits."""
    operation = row.text("op")
    if operation == "context" or operation.startswith("idle (active"):  # a light kernel leaves nearly all multiprocessors gated
        return _waiting(profile_of(row))
    if operation.startswith("idle"):
        return Steady(idle(profile_of(row)).power)
    kernels = _kernels(operation, row)
    clock = to_si(row.number("clock_limit_mhz", 0.0), "MHz", "Hz")
    profile = profile_of(row, clock or None)
    if operation in CONSTANT:
        profile = profile.at(activity="ones")
    known = row.text("unit") == "iteration"
    return Prediction((priced(kernels, profile),), profile, 1.0 if known else None)


def _waiting(profile: Profile) -> Prediction:
    """A process holds the device and runs nothing: what it draws in each second of waiting for the host."""
    stack = load_stack("eager")
    return Prediction((host_gaps(profile, stack, steps=1),), profile, host_seconds(stack))


def _kernels(operation: str, row: Row) -> tuple[Kernel, ...]:
    if operation == "babelstream":
        return (_pointwise("triad", "aten.add", (STREAM, STREAM), STREAM),)
    if operation == "pi-solver":
        step = Signature("aten.mul", (("self", TERMS),), (TERMS,))
        return (
            Kernel("series", "pointwise", "forward", "", (step,) * PER_TERM, reads=(), writes=(TensorSpec((1,), "fp64"),), format="fp64"),
        )
    if operation == "powervirus" and row.text("flops"):
        format_of(row)
        side, precision = row.whole("size"), row.text("precision")
        # the harness sets CUBLAS_TENSOR_OP_MATH, under which cuBLAS multiplies fp32 in TF32
        return (product(side, side, side, "tf32" if precision == "fp32" else precision),)
    raise NotPredicted("what the benchmark runs is not stated")


def _pointwise(name: str, op: str, reads: tuple[TensorSpec, ...], written: TensorSpec) -> Kernel:
    signature = Signature(op, tuple((f"in{index}", spec) for index, spec in enumerate(reads)), (written,))
    return Kernel(name, "pointwise", "forward", "", (signature,), format=written.format)
