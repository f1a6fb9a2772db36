"""The registry: one rule per operation, unknown operations loud, kinds and formats as kernels need them."""

import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given

from estimator.errors import InvalidSetting
from estimator.model import rules
from estimator.model.rules import access, registry
from estimator.model.work import Kernel, Work
from tests.model.signatures import signature, tensor
from tests.strategies import tensors


@pytest.fixture
def registration(monkeypatch):
    """Rules registered in a test vanish after it."""
    monkeypatch.setattr(registry, "RULES", dict(registry.RULES))


def test_every_registered_operation_exists():
    missing = [
        op
        for op in (*registry.RULES, *access.TOUCHES)
        if not op.startswith("est.") and not any(hasattr(torch.ops.aten, op.removeprefix("aten.") + end) for end in ("", "_"))
    ]
    assert not missing


def test_every_access_belongs_to_an_operation_with_a_rule():
    assert all(rules.is_known(op) for op in access.TOUCHES)


def test_every_opaque_operation_of_the_tracer_has_a_rule():
    import estimator.model.tracing  # noqa: F401  defines the namespace

    opaque = {name.split("::")[1].split(".")[0] for name in torch._C._dispatch_get_all_op_names() if name.startswith("est::")}
    assert {"attention", "attention_backward", "grouped_mm", "kv_append"} <= opaque
    assert all(rules.is_known(f"est.{name}") for name in opaque)


def test_a_second_rule_for_an_operation_is_refused():
    with pytest.raises(InvalidSetting, match=re.escape("operation 'aten.mm' has a rule already (estimator.model.rules.matmul.")):
        rules.rule("aten.mm")(lambda op: Work())


def test_an_unknown_kind_is_refused():
    with pytest.raises(InvalidSetting, match="kind 'wrong' of a.b: expected one of matmul, attention"):
        rules.rule("a.b", kind="wrong")


def test_the_five_lines_of_the_documentation_add_an_operation(registration):
    lines = registry.__doc__.split("five lines:")[1].split("An in-place")[0]
    exec("\n".join(line.removeprefix("    ") for line in lines.strip("\n").splitlines()), {})
    swiglu = signature("mylib.swiglu", tensor(4, 8), gate=tensor(4, 8), up=tensor(4, 8))
    # 32 outputs: 3 vector and 2 special FLOP each; two inputs and one output of 32 floats
    assert rules.work_of_signature(swiglu) == Work((), 96, 64, 256, 128)
    assert rules.is_known("mylib.swiglu")
    assert rules.kind_of("mylib.swiglu") == "pointwise"


@given(tensors, tensors)
def test_an_unknown_operation_is_never_silently_free(given_tensor, output):
    call = signature("mystery.op", output, x=given_tensor)
    assert not rules.is_known("mystery.op")
    assert rules.kind_of("mystery.op") == "unknown"
    assert rules.work_of_signature(call) == Work((), output.elements, 0, given_tensor.bytes, output.bytes)


def test_an_in_place_operation_follows_its_base_name():
    pair = {"self": tensor(3, 5), "other": tensor(3, 5)}
    assert rules.work_of_signature(signature("aten.add_", tensor(3, 5), **pair)) == rules.work_of_signature(
        signature("aten.add", tensor(3, 5), **pair)
    )
    assert rules.kind_of("aten.add_") == "pointwise"
    assert not rules.is_known("aten.no_such_op_")


def test_an_out_argument_is_written_not_read():
    call = signature("aten.add", tensor(2, 2), self=tensor(2, 2), other=tensor(2, 2), out=tensor(2, 2))
    assert rules.work_of_signature(call) == Work((), 4, 0, 32, 16)


@pytest.mark.parametrize(
    "op, kind",
    [
        ("aten.mm", "matmul"), ("est.grouped_mm", "matmul"), ("est.attention", "attention"), ("aten.convolution", "convolution"),
        ("aten.silu", "pointwise"), ("aten._softmax", "reduction"), ("aten.embedding", "gather"), ("aten.cat", "copy"),
        ("aten.zeros", "creation"), ("est.optimizer_step", "optimizer"), ("aten._foreach_add_", "optimizer"),
    ],
)  # fmt: skip
def test_kinds(op, kind):
    assert rules.kind_of(op) == kind


def test_library_kernels_do_not_fuse_and_element_wise_work_does():
    assert not any(map(rules.fuses, ("aten.mm", "est.attention", "aten.sort", "aten.index_put_", "est.optimizer_step", "mystery.op")))
    assert all(map(rules.fuses, ("aten.add_", "aten._softmax", "aten.native_layer_norm", "aten.embedding", "aten.cat", "aten.zeros")))


@pytest.mark.parametrize(
    "operands, expected",
    [
        ({"mask": tensor(2, format="bool"), "self": tensor(2, format="bf16")}, "bf16"),
        ({"self": tensor(2, format="int8"), "mat2": tensor(2, format="int8")}, "int8"),
        ({"self": tensor(2, format="complex64")}, "fp32"),
        ({"self": tensor(2, format="complex128")}, "fp64"),
        ({"weights": (tensor(2, format="int64"), tensor(2, format="fp16"))}, "fp16"),
        ({"size": (2, 2)}, "fp32"),
        ({"parameters": (tensor(2, format="bf16"),), "state_format": "fp32"}, "fp32"),
    ],
)
def test_the_format_is_that_of_the_first_floating_tensor(operands, expected):
    assert rules.format_of(signature("any.op", **operands)) == expected


def test_the_format_of_a_creation_is_that_of_its_output():
    assert rules.format_of(signature("aten.zeros", tensor(2, format="bf16"), size=(2,))) == "bf16"


def _kernel(*signatures, **settings):
    return Kernel("k", "pointwise", "forward", "m", signatures, **settings)


def test_a_fused_kernel_moves_what_it_says_and_computes_what_its_operations_do():
    x = tensor(10)
    add, silu = signature("aten.add", x, self=x, other=x), signature("aten.silu", x, self=x)
    work = rules.work_of(_kernel(add, silu, reads=(x, x), writes=(x,)))
    assert work == Work((), 10 + 30, 20, 80, 40)  # add 1; silu 3 + 2; two tensors in, one out, 40 bytes each
    assert rules.work_of(_kernel(add)) == rules.work_of_signature(add)


def test_a_fused_kernel_must_say_what_it_moves():
    x = tensor(10)
    silu = signature("aten.silu", x, self=x)
    with pytest.raises(InvalidSetting, match="kernel 'k' has 2 operations and no reads or writes"):
        rules.work_of(_kernel(silu, silu))


HEAVY = "import sys; print([name for name in ('torch', 'numpy', 'sympy') if name in sys.modules])"


def loaded_by(program):
    return subprocess.run([sys.executable, "-c", f"{program}; {HEAVY}"], capture_output=True, text=True, check=True).stdout.strip()


def test_rules_load_neither_torch_nor_numpy_nor_sympy():
    assert loaded_by("import estimator.model.rules, estimator.model.fusion") == "[]"
    assert loaded_by("import numpy") == "['numpy']"  # the check can fail
