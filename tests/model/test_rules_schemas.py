"""Every rule of an aten operation works on arguments named and typed as the operation's own schema says."""

import pytest
import torch

from estimator.model.rules import RULES, work_of_signature
from estimator.model.work import Signature
from tests.model.signatures import tensor

CUBE = tensor(4, 4, 4)
VALUES = {  # by schema type; what a rule does not look at may be anything
    "Tensor": tensor(4, 4), "Optional[Tensor]": None, "List[Tensor]": (tensor(4, 4), tensor(4, 4)), "number": 2.0, "float": 0.5,
    "bool": False, "int": 1, "SymInt": 1, "str": "none", "List[int]": (2, 2), "List[SymInt]": (2, 2), "List[bool]": (True, True, True),
}  # fmt: skip
SHAPED = {  # operations that need more dimensions than two
    "convolution": {"input": tensor(2, 4, 8, 8), "weight": tensor(4, 4, 3, 3), "grad_output": tensor(2, 4, 6, 6)},
    "bmm": {"self": CUBE, "mat2": CUBE},
    "baddbmm": {"batch1": CUBE, "batch2": CUBE},
    "addbmm": {"batch1": CUBE, "batch2": CUBE},
    "scaled_dot_product": {name: tensor(2, 2, 4, 4) for name in ("query", "key", "value")},
    "rnn_layer": {"input": CUBE} | {f"weight{i}": tensor(16, 4) for i in range(5)} | {"mode": 2},
    "trilinear": {f"i{i}": tensor(4) for i in (1, 2, 3)} | {"expand1": (), "expand2": (), "expand3": ()},
    "addmv": {"vec": tensor(4)},
    "aten.mv": {"vec": tensor(4)},
    "dot": {"self": tensor(4), "tensor": tensor(4), "other": tensor(4)},
    "index_put": {"indices": (tensor(2, format="int64"),)},
    "_unsafe_index_put": {"indices": (tensor(2, format="int64"),)},
    "_fft": {"dim": (0, 1)},
}
OUTPUTS = {"convolution": tensor(2, 4, 6, 6), "scaled_dot_product": tensor(2, 2, 4, 4)}
WITHOUT_RESULT = ("_foreach", "_fused", "_local_scalar_dense", "equal", "_assert", "_linalg_check_errors")
OPS = sorted(op for op in RULES if op.startswith("aten."))


def overloads(op):
    packets = [getattr(torch.ops.aten, op.removeprefix("aten.") + end, None) for end in ("", "_")]
    return [getattr(packet, name) for packet in packets if packet is not None for name in packet.overloads()]


def on_tensors(schema):
    """Not the overloads for TorchScript's own numbers and lists."""
    return any("Tensor" in str(result.type) for result in schema.returns) or schema.name.split("::")[1].startswith(WITHOUT_RESULT)


def shaped(op, table):
    return next((value for part, value in table.items() if part in op), None)


def plausible(op, schema):
    """A signature with a value of the right type for every argument of `schema`."""
    special = shaped(op, SHAPED) or {}
    arguments = [(argument.name, special.get(argument.name, _value(argument))) for argument in schema.arguments if not argument.is_out]
    results = [r for r in schema.returns if "Tensor" in str(r.type)] or schema.arguments[:1]
    output = shaped(op, OUTPUTS) or tensor(4, 4)
    return Signature(schema.name.replace("::", "."), tuple(arguments), (output,) * len(results))


def _value(argument):
    kind = str(argument.type)
    if kind.startswith("Optional") and "Tensor" not in kind:
        return argument.default_value if argument.has_default_value() else VALUES.get(kind[len("Optional[") : -1])
    return tuple(VALUES["List[Tensor]"]) if kind == "List[Optional[Tensor]]" else VALUES.get(kind)


@pytest.mark.parametrize("op", OPS)
def test_a_rule_reads_its_arguments_by_the_names_of_the_schema(op):
    found = [overload for overload in overloads(op) if on_tensors(overload._schema)]
    assert found
    for overload in found:
        work = work_of_signature(plausible(op, overload._schema))
        assert all(getattr(work, quantity) >= 0 for quantity in ("flop", "read", "write")), overload


def test_a_misnamed_argument_is_noticed():
    call = plausible("aten.mm", torch.ops.aten.mm.default._schema)
    renamed = Signature(call.op, tuple((name.replace("mat2", "other"), value) for name, value in call.arguments), call.outputs)
    with pytest.raises(KeyError, match="mat2"):
        work_of_signature(renamed)
