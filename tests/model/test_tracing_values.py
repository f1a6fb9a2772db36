"""Values that depend on no weight stay known; those that do are refused, and every guess is listed."""

import pytest
import torch
from torch import nn

from estimator.errors import TraceError
from estimator.model.tracing import trace
from tests.model.cases import Calls, empty, linear


def ops(traced):
    return [traced.signatures[call.signature].op for call in traced.calls]


def rows_multiplied(traced):
    return [traced.signatures[c.signature]["self"].shape[0] for c in traced.calls if traced.signatures[c.signature].op == "aten.mm"]


@pytest.mark.parametrize(
    "length",
    [
        lambda n: int(n.max()),
        lambda n: n.max().item(),
        lambda n: n.tolist()[1],
        lambda n: int(n.cpu().numpy()[1]),
        lambda n: len(n[1].expand(3).cumsum(0).nonzero()),
        lambda n: int(torch.where(n > 2, n, torch.zeros_like(n)).sum()),
        lambda n: int((torch.tensor(0, device=n.device) + n)[1]),
        lambda n: int(torch.arange(10, device=n.device)[n[1]]),
        lambda n: int(n.clone().add_(1).sub_(1)[-1]),
    ],
    ids=["int", "item", "tolist", "numpy", "nonzero", "where", "tensor", "index", "in place"],
)
def test_a_length_given_as_a_real_tensor_is_read(length):
    model = Calls(lambda m, x, n: m.layer(x[: length(n)]), layer=linear())
    assert rows_multiplied(trace(model, empty(10, 32), torch.tensor([2, 3]))) == [3]


def test_values_survive_views_and_follow_writes_through_them():
    def forward(m, x):
        counts = torch.zeros(4, dtype=torch.long, device=x.device)
        counts[1:3][0] = 5
        counts.view(2, 2)[0] += 1
        return m.layer(x[: int(counts.sum())])

    assert rows_multiplied(trace(Calls(forward, layer=linear()), empty(10, 32))) == [7]


def test_a_value_overwritten_by_an_activation_is_known_no_longer():
    def forward(m, x):
        counts = torch.zeros(4, dtype=torch.long, device=x.device)
        counts.copy_(m.layer(x)[0, :4])
        return x[: int(counts.sum())]

    with pytest.raises(TraceError, match="needs the value"):
        trace(Calls(forward, layer=linear()), empty(10, 32))


def test_the_caller_s_integers_are_not_written_to():
    positions = torch.arange(3)
    trace(Calls(lambda _, p: p.add_(1) + int(p[0])), positions)
    assert positions.tolist() == [0, 1, 2]


def test_buffers_keep_their_values():
    model = Calls(lambda m, x: m.layer(x[: int(m.length)]), layer=linear())
    model.register_buffer("length", torch.tensor(4))
    assert rows_multiplied(trace(model, empty(10, 32))) == [4]


def test_tensors_made_on_the_host_join_the_device_and_are_listed():
    traced = trace(Calls(lambda m, x: m.layer(x + torch.arange(32)), layer=linear()), empty(2, 32))
    assert traced.decisions == ("host tensor of shape (32,) in '' taken as on the device",)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.cuda(),
        lambda x: x.to("cuda:1"),
        lambda x: x.to(torch.device("cuda"), torch.float32),
        lambda x: x + torch.zeros(32, device="cuda"),
        lambda x: x + torch.tensor(1.0).cuda(),
        lambda x: x.to(device="xpu"),
    ],
)
def test_a_named_accelerator_is_the_device_that_is_traced(make):
    assert rows_multiplied(trace(Calls(lambda m, x: m.layer(make(x)), layer=linear()), empty(2, 32))) == [2]


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x.tolist(),
        lambda x: x.detach().numpy(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: torch.masked_select(x, x > 0),
        lambda x: x.long().unique(),
        lambda x: torch.equal(x, x + 1),
        lambda x: torch.arange(int(x.sum())),
    ],
)
def test_reading_an_activation_names_the_module_and_the_way_out(read):
    model = nn.Sequential(linear(), Calls(lambda _, x: read(x)))
    with pytest.raises(TraceError, match=r"module '1' needs the value .* integer tensor, whose values are kept; .*torch\.where"):
        trace(model, empty(2, 32))


def test_autocast_reaches_meta_tensors():
    def forward(m, x):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            x = m.norm(m.layer(x))
        return m.layer(x.float())

    traced = trace(Calls(forward, layer=linear(), norm=nn.LayerNorm(32)), empty(2, 32), backward=True)
    formats = {}
    for call in traced.calls:
        signature = traced.signatures[call.signature]
        formats.setdefault((call.phase, signature.op), []).append(signature.inputs[0].format)
    # torch's list for CUDA: linear in the region's format, layer norm in fp32; gradients in the format of their product
    assert formats["forward", "aten.mm"] == ["bf16", "fp32"]
    assert formats["forward", "aten.native_layer_norm"] == ["fp32"]
    assert formats["backward", "aten.mm"] == ["fp32", "fp32", "bf16"]


def test_autocast_named_after_the_device_of_a_tensor_is_that_of_the_accelerator():
    def forward(m, x):
        with torch.autocast(x.device.type, dtype=torch.float16):
            return m.layer(x)

    traced = trace(Calls(forward, layer=linear()), empty(2, 32))
    assert traced.signatures[traced.calls[-1].signature].outputs[0].format == "fp16"


def test_an_autocast_region_around_the_trace_counts_and_a_disabled_one_inside_does_not():
    def forward(m, x):
        y = m.layer(x)
        with torch.autocast("cpu", enabled=False):
            return m.layer(y.float())

    with torch.autocast("cpu", dtype=torch.bfloat16):
        traced = trace(Calls(forward, layer=linear()), empty(2, 32))
    products = [traced.signatures[c.signature].inputs[0].format for c in traced.calls if traced.signatures[c.signature].op == "aten.mm"]
    assert products == ["bf16", "fp32"]


def test_compiled_modules_run_as_written():
    plain = nn.Sequential(linear(), nn.ReLU())
    compiled = nn.Sequential(torch.compile(linear()), nn.ReLU())
    in_place = nn.Sequential(linear(), nn.ReLU())
    in_place[0].compile()
    reference = trace(plain, empty(2, 32), backward=True)
    for model in (compiled, in_place, torch.compile(plain)):
        assert trace(model, empty(2, 32), backward=True) == reference
