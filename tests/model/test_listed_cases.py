"""The hard cases by number, each with the matrix FLOP that it must have: forward, and backward where one is given.

The sizes behind a count are derived where the case itself is: small operators in `cases.py`, architectures in
`test_tracing_models.py` and `test_hard_cases.py`. Here the counts stand as published numbers, so that an error made alike in a
derivation and in a rule shows. A multiply-add is 2, masks are dense.
"""

import pytest
import torch
import transformers

from estimator.errors import LiftError
from estimator.model.build.attention import cached
from estimator.model.build.sampling import lift_step
from estimator.model.build.steps import SAMPLES, Step, steps_of
from estimator.model.rules import work_of
from estimator.model.tracing import trace
from tests.model import networks
from tests.model.cases import CASES
from tests.model.networks import on_meta, token_ids

SMALL = {  # case: forward, backward, recompute
    "depthwise-separable": (14_651_392, 27_496_448),
    "transposed convolution": (1_048_576, 2_097_152),
    "LSTM": (471_072_768, 866_648_064),
    "packed LSTM": (76_800,),
    "checkpoint, reentrant": (196_608, 393_216, 131_072),
    "checkpoint, non-reentrant": (196_608, 393_216, 131_072),
    "gradient penalty": (4_224, 20_736),
    "grouped-query attention": (15_728_640, 40_894_464),
    "complex product": (4_096,),
    "torch.cond takes the costlier branch": (131_072,),
    "int8 and fp8": (131_072,),
}
PHASES = ("forward", "backward", "recompute")


def counted(traced):
    work = {row["name"]: row["matmul_flop"] for row in traced.rows("phase")}
    return tuple(work[phase] for phase in PHASES if work.get(phase))


@pytest.mark.parametrize("name", SMALL)
def test_small_case(name):
    (case,) = [case for case in CASES if case.name == name]
    model, inputs = case.build()
    assert counted(trace(model, *inputs, **case.options)) == SMALL[name]


def test_checkpointing_a_single_layer_recomputes_nothing():
    (case,) = [case for case in CASES if case.name == "checkpoint of one layer"]
    model, inputs = case.build()
    assert len(counted(trace(model, *inputs, backward=True))) == 2


def decoder(name, layers, widths, dtype=torch.bfloat16):
    config = getattr(transformers, f"{name}Config")(num_hidden_layers=layers, **widths)
    return on_meta(getattr(transformers, f"{name}ForCausalLM"), config, dtype)


LLAMA_70B = {"hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128256}
MIXTRAL = {"hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
           "num_experts_per_tok": 2, "vocab_size": 32000}  # fmt: skip
QWEN3 = {"hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "moe_intermediate_size": 768,
         "num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151936}  # fmt: skip


@pytest.mark.parametrize(
    ("build", "per_token", "per_pair"),
    [
        (networks.bert, 217_930_752, 36_864),
        (lambda: networks.llama(32), 15_009_316_864, 524_288),
        (lambda: decoder("Llama", 80, LLAMA_70B), 139_003_428_864, 2_621_440),
        (lambda: decoder("Mixtral", 32, MIXTRAL), 25_497_174_016, 524_288),
    ],
    ids=["bert-base", "llama-3.1-8b", "llama-3.1-70b", "mixtral-8x7b"],
)
def test_forward_has_the_published_form_in_batch_and_sequence(build, per_token, per_pair):
    batch, rows = 3, 80
    (forward,) = counted(trace(build(), token_ids(batch, rows), training=False))
    assert forward == per_token * batch * rows + per_pair * batch * rows**2


@pytest.mark.parametrize(("attention", "backward"), [("sdpa", 602_623_967_232), ("eager", 583_296_614_400)])
def test_gpt_2_at_its_full_context(attention, backward):
    assert counted(trace(networks.gpt2(attention), token_ids(1, 1024), backward=True)) == (291_648_307_200, backward)


def test_qwen_3_with_all_its_experts():
    model = decoder("Qwen3Moe", 48, QWEN3)
    assert counted(trace(model, token_ids(1, 512), backward=True)) == (3_320_815_026_176, 6_744_709_267_456)


def test_generation_of_four_tokens():
    # two layers of Llama-3.1-8B: 16 prompt tokens, of whose logits the last alone is computed, then three single tokens
    class Generate(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model.generate(ids, max_new_tokens=4, do_sample=False, eos_token_id=None, pad_token_id=0)

    traced = trace(Generate(networks.llama(2)), torch.ones(1, 16, dtype=torch.long))
    layers, head = 2 * (2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336), 4096 * 128256
    pairs = 16 * 16 + 17 + 18 + 19
    assert counted(traced) == (2 * (19 * layers + 4 * head) + 2 * 4 * 4096 * pairs,) == (20_788_740_096,)


def windowed(attention, window):
    config = transformers.MistralConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, vocab_size=100,
        sliding_window=window, attn_implementation=attention,
    )  # fmt: skip
    return on_meta(transformers.MistralForCausalLM, config)


def test_a_cache_that_stops_growing_at_its_window_has_no_closed_form():
    # the samples' past of 83 and 94 tokens is all in the cache, of 107 and 131 the latest 99 are
    def step(model, batch, past):
        caches = transformers.DynamicCache(config=model.config)
        caches.update(*(torch.empty(batch, 2, past, 16, device="meta") for _ in range(2)), 0)
        return trace(model, token_ids(batch, 1), **cached(model, caches))

    with pytest.raises(LiftError, match="past"):
        lift_step(windowed("sdpa", 100), "decode", Step(("batch", "past"), step, SAMPLES["inference"]))


@pytest.mark.parametrize("past", [60, 99, 100, 101, 300])
def test_a_window_within_one_operation_holds_on_both_sides_of_it(past):
    # the window is a parameter of the operation, so that one lifted program serves both
    model = windowed("estimator", 100)
    program = lift_step(model, "decode", steps_of("causal-lm", model.config)["decode"]).program
    (attention,) = [kernel for kernel in program.at("eager", batch=3, past=past) if kernel.kind == "attention"]
    assert work_of(attention).tensor_flop == 3 * 4 * 4 * 16 * min(past + 1, 100)
    assert work_of(attention).matmul_flop == 3 * 4 * 4 * 16 * (past + 1)
