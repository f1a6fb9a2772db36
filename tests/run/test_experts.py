"""Experts spread over ranks: what is exchanged, what is padded, who waits."""

from hypothesis import given
from hypothesis.strategies import floats
from pytest import approx

from estimator.hardware.catalogue import load_profile
from estimator.model.architecture import load_architecture
from estimator.model.transform import quantize, route
from estimator.run.engine_kernels import Batch, Engine
from estimator.run.lengths import Lengths
from estimator.run.parallel import Parallel
from estimator.run.serving_step import Steps
from estimator.run.stack import load_stack, streamed_share

STACK, H100 = load_stack("serving"), load_profile("H100")
MIXTURE = route(load_architecture("qwen3-30b-a3b"), "balanced")  # 128 experts of 2048 × 768, 8 for each token, 48 layers


def parts(tokens: float, parallel: Parallel, model=MIXTURE, profile=H100):
    return [part.asked for part in Steps(model, profile, STACK, parallel).parts(Batch(tokens, Lengths(1000.0)))]


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
    # It reads its 512 rows of 2048 and of 768, and writes all ranks' 4096 rows of 1536 and of 2048, those of others as zeros.
    moved = [item.demand.memory_bytes for item in products(parts(512, Parallel(tensor=8, expert=8)))]
    assert sum(moved) == approx(3 * 2048 * 768 * 16 * 2 + 512 * (2048 + 768) * 2 + 4096 * (1536 + 2048) * 2, rel=0.01, abs=0)


def test_the_default_tile_grows_where_tokens_outnumber_the_experts_of_a_rank():
    # 64 experts on each of two ranks: up to 64 tokens a tile has 16 rows, beyond that 64, and loads fall short:
    # 13 B × 132 multiprocessors × 1.98 GHz = 3.40 TB/s would do on H100, on B200 13 × 148 × 1.965 = 3.78 of 6.80 TB/s do not
    few, many = (products(parts(tokens, Parallel(tensor=2, expert=2)))[0].demand for tokens in (64, 65))
    assert many.macs + many.mac_padding > 3 * (few.macs + few.mac_padding)
    assert (few.memory_share, many.memory_share) == (1.0, 1.0)
    wide = products(parts(65, Parallel(tensor=2, expert=2), profile=load_profile("B200")))[0].demand
    assert wide.memory_share == approx(3.78 / 6.80, rel=0.01, abs=0)


@given(bandwidth=floats(0.5, 4))
def test_wider_memory_never_lengthens_loads_and_ends_up_not_shortening_them(bandwidth):
    memory = H100.memory.model_copy(update={"bandwidth": H100.memory.bandwidth * bandwidth})
    share = streamed_share(STACK.engine.expert_load_rate, H100.model_copy(update={"memory": memory}))
    rate = share * bandwidth * H100.memory.bandwidth * H100.achievable.memory
    assert 0 < share <= 1 and rate <= STACK.engine.expert_load_rate * 132 * H100.clock.boost * (1 + 1e-9)


def test_narrow_products_run_over_rows_aligned_for_every_expert():
    # 8 tokens, 8 experts each, on two ranks: 64 rows of all ranks and 64 × 127 more, whatever the tokens do
    fp8 = quantize(MIXTURE, "fp8")
    up, down = (item.demand.macs for item in products(parts(8, Parallel(tensor=2, expert=2), fp8)))
    assert up == approx((64 + 64 * 127) * 2048 * 1536, rel=1e-9, abs=0) and down == approx(up / 2, rel=1e-9, abs=0)


def test_operands_of_aligned_rows_are_delivered_once():
    # the buffer's rows count as multiply-adds, so that rows which fill tiles are no padding beside them
    fp8 = quantize(MIXTURE, "fp8")
    assert all(item.demand.mac_padding == 0 for item in products(parts(8, Parallel(tensor=2, expert=2), fp8)))


def test_passes_between_narrow_products_run_over_the_same_rows_and_more_launches_sort_them():
    # the 8192 rows of above: silu and product read 1536 and write 768 elements of each in bf16; four launches sort the rows, not one
    fp8 = quantize(MIXTURE, "fp8")
    asked = parts(8, Parallel(tensor=2, expert=2), fp8)
    activated = next(item for item in asked if item.name == "fused.silu+mul")
    assert activated.demand.l2_bytes == approx((64 + 64 * 127) * (1536 + 768) * 2, rel=1e-9, abs=0)
    assert sum(item.launches for item in asked if item.name == "fused.routing") == 48 * (1 + STACK.engine.expert_sorts)
    narrowed = [item for item in asked if item.name == "est.narrow" and "experts" in item.module]
    assert len(narrowed) == 2  # before either product


def test_routing_takes_two_launches_a_layer():
    engine = Engine(MIXTURE.programs, "serving")
    kernels = [kernel for kernel, _ in engine.kernels(Batch(64, Lengths(1000.0)))]
    assert sum(kernel.launches for kernel in kernels if kernel.name == "fused.routing") == 2 * 48
