"""Experts spread over ranks: what is exchanged, what is padded, who waits."""

from pytest import approx

from estimator.hardware.catalogue import load_profile
from estimator.model.architecture import load_architecture
from estimator.model.transform import quantize, route
from estimator.run.engine_kernels import Batch, Engine
from estimator.run.lengths import Lengths
from estimator.run.parallel import Parallel
from estimator.run.serving_step import Steps
from estimator.run.stack import load_stack

STACK, H100 = load_stack("serving"), load_profile("H100")
MIXTURE = route(load_architecture("qwen3-30b-a3b"), "balanced")  # 128 experts of 2048 × 768, 8 for each token, 48 layers


def parts(tokens: float, parallel: Parallel, model=MIXTURE):
    return [part.asked for part in Steps(model, H100, STACK, parallel).parts(Batch(tokens, Lengths(1000.0)))]


def products(asked):
    return [item for item in asked if "experts" in item.module and item.demand.macs and item.demand.unit == "tensor"]


def test_replicas_send_their_tokens_to_the_experts_and_back():
    names = [item.name.split(" ")[0] for item in parts(8, Parallel(data=8, expert=8)) if item.kind == "communication"]
    assert names.count("all_gather") == 1 and names.count("reduce_scatter") == 1 and "all_reduce" not in names
    # tensor-parallel ranks see every token and only add up: attention, experts, embeddings, and the logits gathered
    names = [item.name.split(" ")[0] for item in parts(8, Parallel(tensor=2, expert=2)) if item.kind == "communication"]
    assert (names.count("all_reduce"), names.count("all_gather")) == (3, 1)


def test_a_rank_reads_its_own_experts_alone():
    # With 512 tokens all experts get rows; a rank of eight holds 16 of them: 3 × 2048 × 768 × 16 × 2 B = 151 MB a layer.
    weights = [item.demand.memory_bytes for item in products(parts(512, Parallel(tensor=8, expert=8)))]
    assert sum(weights) == approx(3 * 2048 * 768 * 16 * 2, rel=0.15, abs=0)


def test_the_default_tile_grows_where_tokens_outnumber_the_experts_of_a_rank():
    # 64 experts on each of two ranks: up to 64 tokens a tile has 16 rows, beyond that 64, and loads fall short
    few, many = (products(parts(tokens, Parallel(tensor=2, expert=2)))[0].demand for tokens in (64, 65))
    assert many.macs + many.mac_padding > 3 * (few.macs + few.mac_padding)
    assert (few.memory_share, many.memory_share) == (1.0, STACK.engine.expert_memory_share)


def test_narrow_products_run_over_rows_aligned_for_every_expert():
    # 8 tokens, 8 experts each, on two ranks: 64 rows of all ranks and 64 × 127 more, whatever the tokens do
    fp8 = quantize(MIXTURE, "fp8")
    up, down = (item.demand.macs for item in products(parts(8, Parallel(tensor=2, expert=2), fp8)))
    assert up == approx((64 + 64 * 127) * 2048 * 1536, rel=1e-9, abs=0) and down == approx(up / 2, rel=1e-9, abs=0)


def test_routing_takes_two_launches_a_layer():
    engine = Engine(MIXTURE.programs, "serving")
    kernels = [kernel for kernel, _ in engine.kernels(Batch(64, Lengths(1000.0)))]
    assert sum(kernel.launches for kernel in kernels if kernel.name == "fused.routing") == 2 * 48
