"""Which unit of a chip does arithmetic in a number format, and in which format it really runs."""

from estimator.hardware.schema import Profile

# a format that the unit lacks is widened, step by step
WIDER = {
    "fp4": "fp8", "fp8": "bf16", "int4": "int8", "int8": "fp16", "uint8": "fp16", "bool": "fp16", "bf16": "fp16", "fp16": "fp32",
    "tf32": "fp32", "int16": "fp32", "int32": "fp32", "int64": "fp32",
}  # fmt: skip
ARITHMETIC = {"fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "complex64": "fp32", "complex128": "fp64"}


def matrix_unit(number_format: str, profile: Profile) -> tuple[str, str]:
    """(unit, format) that multiplies matrices of `number_format`: the tensor units if they know it or a wider one."""
    wanted = ARITHMETIC.get(number_format, number_format)
    candidate = wanted
    while profile.tensor is not None:
        if candidate in profile.tensor.fma_per_clock:
            return "tensor", candidate
        if candidate not in WIDER or WIDER[candidate] == "fp32":
            break
        candidate = WIDER[candidate]
    while wanted not in profile.vector.fma_per_clock and wanted in WIDER:
        wanted = WIDER[wanted]
    return "vector", wanted


def multiplies(number_format: str, profile: Profile) -> bool:
    """Whether the tensor units of a chip multiply matrices of that format as they are."""
    return bool(number_format) and matrix_unit(number_format, profile) == ("tensor", ARITHMETIC.get(number_format, number_format))


def lane_format(number_format: str) -> str:
    """Format of element-wise arithmetic: kernels compute narrow floats in fp32 and convert at the door."""
    return "fp64" if ARITHMETIC.get(number_format, number_format) == "fp64" else "fp32"
