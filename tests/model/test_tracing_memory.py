"""Peak of live activations, allocation identities, and the memory and time of tracing itself."""

import json
import subprocess
import sys

import pytest
from torch import nn
from torch.utils.checkpoint import checkpoint

from estimator.model.tracing import kv_append, trace
from tests.lint.source import ROOT
from tests.model.cases import Calls, empty, linear


def test_inference_holds_the_input_and_two_activations_at_most():
    # 4 rows of 32 fp32 = 512 B: the input stays, a layer's input and output meet, what is older is gone
    model = nn.Sequential(linear(), linear(), linear())
    assert trace(model, empty(4, 32)).saved_bytes == 3 * 512


def test_training_saves_what_backward_needs_and_excludes_weights_and_their_gradients():
    # 4 rows of 32 fp32 are 512 B. The input and tanh's output are saved for backward; loss and its gradient have 4 B each. The
    # output's gradient is that scalar, expanded: a view. Most is alive when tanh's gradient is made from that of its output.
    traced = trace(nn.Sequential(linear(), nn.Tanh(), linear()), empty(4, 32), backward=True)
    assert traced.saved_bytes == 2 * 512 + 2 * 4 + 2 * 512


def test_checkpointing_lowers_the_peak():
    layers = nn.Sequential(*(part for _ in range(8) for part in (linear(), nn.Tanh())))
    halves = layers[:8], layers[8:]
    plain = Calls(lambda m, x: m.layers(x), layers=layers)
    saving = Calls(lambda m, x: checkpoint(m.b, checkpoint(m.a, x, use_reentrant=False), use_reentrant=False), a=halves[0], b=halves[1])
    x = empty(512, 32, requires_grad=True)
    assert trace(saving, x, backward=True).saved_bytes < trace(plain, x, backward=True).saved_bytes


def test_reads_and_writes_line_up_with_the_signature():
    traced = trace(nn.Sequential(linear(), nn.BatchNorm1d(32), nn.ReLU(inplace=True)), empty(4, 32), backward=True, optimizer="sgd")
    for call in traced.calls:
        signature = traced.signatures[call.signature]
        assert len(call.reads) == len(signature.inputs)
        assert len(call.writes) >= len(signature.outputs)


def test_a_call_reads_what_an_earlier_one_wrote_through_any_view():
    traced = trace(Calls(lambda m, x: m.b(m.a(x).view(2, 2, 32).transpose(0, 1)), a=linear(), b=linear()), empty(4, 32))
    first, second = (call for call in traced.calls if traced.signatures[call.signature].op == "aten.mm")
    copied = {call.reads[0]: call.writes[0] for call in traced.calls if traced.signatures[call.signature].op == "aten.clone"}
    assert copied[first.writes[0]] == second.reads[0]
    assert traced.outputs == second.writes


def test_in_place_operations_write_what_they_read():
    traced = trace(Calls(lambda _, x: x.mul(2).add_(1)), empty(4))
    multiply, add = traced.calls
    assert add.reads == add.writes == multiply.writes


def test_an_address_used_again_is_another_allocation():
    def forward(m, x):
        for _ in range(20):
            m.layer(x)  # dropped at once: the next output gets its address
        return m.layer(x)

    writes = [call.writes for call in trace(Calls(forward, layer=linear()), empty(4, 32)).calls]
    assert len(set(writes)) == len(writes) == 21


def test_a_cache_grows_in_place():
    cache, new = empty(1, 2, 7, 4), empty(1, 2, 1, 4)
    traced = trace(Calls(lambda _, c, n: kv_append(c, n).sum()), cache, new)
    append, total = traced.calls
    signature = traced.signatures[append.signature]
    assert [name for name, _ in signature.arguments] == ["cache", "new"]
    assert signature.outputs[0].shape == (1, 2, 8, 4)
    assert append.writes == append.reads[:1] == total.reads
    assert traced.saved_bytes == (8 + 1) * 2 * 4 * 4 + 4  # the cache with one row more, the new row, the sum


PROGRAM = """
import json, re, time, torch
from transformers import LlamaConfig, LlamaForCausalLM
from estimator.model.tracing import trace
config = LlamaConfig(hidden_size=16384, intermediate_size=53248, num_hidden_layers=126, num_attention_heads=128,
                     num_key_value_heads=8, vocab_size=128256)
with torch.device("meta"):
    model = LlamaForCausalLM(config).bfloat16()
start = time.perf_counter()
traced = trace(model, torch.empty(1, 8192, dtype=torch.long), backward=True, optimizer="adamw")
phases = {row["name"]: row["matmul_flop"] for row in traced.rows("phase")}
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1)) * 1024  # getrusage hands on that of the parent
print(json.dumps([phases, traced.parameters, time.perf_counter() - start, peak]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_training_step_of_llama_405b_is_traced_in_less_than_a_gigabyte():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    phases, parameters, seconds, peak = json.loads(done.stdout.splitlines()[-1])
    # Q and O 16384², K and V 16384 x 1024, three 16384 x 53248 in 126 layers; head 16384 x 128256; scores and values over 16384
    weights = 126 * (2 * 16384**2 + 2 * 16384 * 1024 + 3 * 16384 * 53248) + 16384 * 128256
    linear_flop, attention = 2 * 8192 * weights, 126 * 2 * 2 * 16384 * 8192**2
    assert phases["forward"] == linear_flop + attention
    assert phases["backward"] == 2 * linear_flop + 2.5 * attention
    assert parameters == weights + 16384 * 128256 + (2 * 126 + 1) * 16384  # and the embedding and the norms
    assert peak < 1e9
    assert seconds < 30
