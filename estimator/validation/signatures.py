"""Kernels of published benchmarks, stated as signatures: matrix products, attention, mixtures of experts, quantisation."""

from collections.abc import Sequence
from math import frexp, inf

from estimator.model.work import Kernel, Signature, TensorSpec
from estimator.run.stack import GROUP_PASS, ROW_PASS
from estimator.validation.hardware import profile_of
from estimator.validation.routing import rows_by_expert
from estimator.validation.rows import NotPredicted, Row
from estimator.validation.tensorrt_llm import fallback, is_tensorrt_llm, scale_search

Kernels = tuple[Kernel, ...]
FORMATS = {
    "bfloat16": "bf16", "bf16": "bf16", "float16": "fp16", "fp16": "fp16", "float32": "fp32", "fp32": "fp32", "tf32": "tf32",
    "fp64": "fp64", "fp8": "fp8_e4m3", "fp8_block": "fp8_e4m3", "fp8_block_e8m0": "fp8_e4m3", "nvfp4": "fp4", "int8": "int8",
}  # fmt: skip
SCALE_BLOCK = {"fp8_block": 128, "fp8_block_e8m0": 128, "nvfp4": 16}  # exact: elements that share a scale, by definition of the formats
SCALE_FORMAT = {"fp8_block": "fp32", "fp8_block_e8m0": "uint8", "nvfp4": "fp8_e4m3"}  # uint8: e8m0, powers of two
TILES = ((32, 16.0), (96, 32.0), (512, 64.0), (inf, 128.0))  # exact: most tokens, rows of a tile
SCALED_TILES = ((64, 16.0), (inf, 64.0))  # exact: likewise with scales by block


def format_of(row: Row) -> str:
    """The operands' number format; raises `NotPredicted` for one that the rules do not state."""
    text = row.text("precision")
    try:
        return FORMATS[text]
    except KeyError:
        raise NotPredicted(f"operands of two widths or of an unknown format: {text!r}") from None


def precision_of(row: Row) -> str:
    """The row's precision; block scales are powers of two where the matrix units apply them and the library knows (DeepGEMM)."""
    text = row.text("precision").partition("/kv ")[0]
    unit = profile_of(row).tensor if text == "fp8_block" else None
    applies = unit is not None and "fp4" in unit.fma_per_clock and row.text("kernel_source") != "vllm_fused_moe"
    return "fp8_block_e8m0" if applies else text


def kernel(op: str, kind: str, arguments: dict, outputs: tuple[TensorSpec, ...], number_format: str, **rest) -> Kernel:
    """One operation as a launch of its own."""
    signature = Signature(op, tuple(arguments.items()), outputs)
    return Kernel(op, kind, "forward", "", (signature,), format=number_format, **rest)


def product(m: int, n: int, k: int, precision: str = "bfloat16") -> Kernel:
    """C = A B with operands of one precision, their scales where it has them, and a result in bf16 (or wider)."""
    number_format = FORMATS[precision]
    a, b = TensorSpec((m, k), number_format), TensorSpec((k, n), number_format)
    out = TensorSpec((m, n), "bf16" if number_format in ("fp8_e4m3", "fp4", "int8") else number_format)
    if precision not in SCALE_BLOCK:
        return kernel("aten.mm", "matmul", {"self": a, "mat2": b}, (out,), number_format)
    block, kind = SCALE_BLOCK[precision], SCALE_FORMAT[precision]
    rows = {"scale_a": TensorSpec((m, k / block), kind)}
    shared = block if number_format == "fp8_e4m3" else 1  # fp8 blocks are square for weights: one scale for 128 × 128 of them
    scales = rows | {"scale_b": TensorSpec((k / block, n / shared), kind)}
    return kernel("aten._scaled_mm", "matmul", {"self": a, "mat2": b} | scales, (out,), number_format)


def quantised(m: float, k: float, precision: str) -> Kernels:
    """What a linear layer does to its bf16 input before a product in a narrower format: one pass that scales and converts."""
    number_format = FORMATS[precision]
    if number_format not in ("fp8_e4m3", "fp4", "int8"):
        return ()
    wide, narrow = TensorSpec((m, k), "bf16"), TensorSpec((m, k), number_format)
    scales = (TensorSpec((m, k / SCALE_BLOCK[precision]), SCALE_FORMAT[precision]),) if precision in SCALE_BLOCK else ()
    scale = Signature("aten.mul", (("self", wide),), (narrow,))
    kind = GROUP_PASS if scales else "pointwise"
    return (Kernel("quantise", kind, "forward", "", (scale,), reads=(wide,), writes=(narrow, *scales), format="bf16"),)


def gemm(row: Row) -> Kernels:
    """A linear layer without bias: m × k times k × n, its bf16 input converted first where the product is narrower."""
    format_of(row)
    m, n, k, precision = row.whole("m"), row.whole("n"), row.whole("k"), precision_of(row)
    # its benchmark states no scale of the input, so TensorRT-LLM's linear layer searches one in every call
    searched = (scale_search(m, k),) if precision == "fp8" and is_tensorrt_llm(row) else ()
    return (*searched, *quantised(m, k, precision), product(m, n, k, precision))


def matmul(row: Row) -> Kernels:
    """The matrix product of `gemm` by itself: operands come in the format that they are multiplied in."""
    format_of(row)
    return (product(row.whole("m"), row.whole("n"), row.whole("k"), row.text("precision")),)


def attention_kernel(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    causal: bool,
    window: int | None,
    number_format: str,
    instructions: str = "",
    **rest,
) -> Kernel:
    """Fused attention of `query` on `key` and `value`, computed in `number_format`; the output is bf16 where that is narrower.

    `instructions` of a kernel that is not written for the chip: see `estimator.run.attention`.
    """
    older = {"instructions": instructions} if instructions else {}
    arguments = {
        "query": query, "key": key, "value": value, "mask": None, "dropout": 0.0, "causal": causal, "scale": None, "window": window,
        **older,
    }  # fmt: skip
    out = TensorSpec((*query.shape[:-1], value.shape[-1]), "bf16" if number_format.startswith("fp8") else number_format)
    return kernel("est.attention", "attention", arguments, (out,), number_format, **rest)


def attention(row: Row) -> Kernels:
    """Prefill, decode or encoder attention of `num_heads` query heads on `num_kv_heads` key heads."""
    compute, _, cache = row.text("precision").partition("/kv ")
    if compute not in FORMATS or (cache or compute) not in FORMATS:
        raise NotPredicted(f"operands of an unknown format: {row.text('precision')!r}")
    if cache == "fp8" and row.text("kernel_source").startswith("vllm_fl"):
        compute = cache  # vLLM's flash kernels are given fp8 queries with an fp8 cache
    batch, heads, size = row.whole("batch_size"), row.whole("num_heads"), row.whole("head_dim")
    decodes = row.text("task") == "generation_attention"
    past = row.whole("context_len") if decodes else round(row.number("context_len", 0.0))
    new = 1 if decodes else row.whole("input_len")
    keys = past if decodes else past + new
    query = TensorSpec((batch, heads, new, size), FORMATS[compute])
    key = TensorSpec((batch, row.whole("num_kv_heads", heads), keys, size), FORMATS[cache or compute])
    window = round(row.number("window", 0.0)) or None
    instructions = fallback(row, heads, key.shape[1], size)
    kernel = attention_kernel(query, key, key, row.text("task") != "encoder_attention", window, FORMATS[compute], instructions)
    return (_preprocessed(query, key), kernel) if row.text("kernel_source") == "torch_flow" and not decodes else (kernel,)


def _preprocessed(query: TensorSpec, key: TensorSpec) -> Kernel:
    """What TensorRT-LLM does before attention in prefill: rotate queries and keys, write keys and values to their cache."""
    given = tuple(TensorSpec(spec.shape, "bf16") for spec in (query, key, key))
    rotate = Signature("aten.mul", (("self", given[0]),), (query,))
    return Kernel("preprocess", GROUP_PASS, "forward", "", (rotate,), reads=given, writes=(query, key, key), format="bf16")


def mixture(row: Row) -> Kernels:
    """A gated mixture of experts after routing: gate and up in one grouped product, activation, down, weighted sum.

    `experts` are shared by `moe_ep` devices; this is the one with the most rows. vLLM's fused experts take all rows through the
    kernels between the products, those of other devices as zeros.
    """
    format_of(row)
    precision, source = precision_of(row), row.text("kernel_source")
    gates = 1 if "nongated" in source else 2
    tokens, hidden, inter, picks = row.whole("num_tokens"), row.whole("hidden"), row.whole("inter"), row.whole("topk")
    rows = rows_by_expert(row.text("distribution"), tokens, row.whole("experts"), picks, row.whole("moe_ep", 1))
    passed = tokens * picks if source.startswith("vllm") else sum(rows)
    tile = tile_rows(tokens, precision) if source.startswith("vllm") else None
    middle = TensorSpec((passed, inter), "bf16")
    return (
        *quantised(tokens, hidden, precision),
        grouped(rows, hidden, gates * inter, precision, passed, tile),
        _pass("aten.mul" if gates == 2 else "aten.relu", TensorSpec((passed, gates * inter), "bf16"), middle),
        *quantised(passed, inter, precision),
        grouped(rows, inter, hidden, precision, passed, tile),
        _pass("aten.mul", TensorSpec((passed, hidden), "bf16"), TensorSpec((tokens, hidden), "bf16")),
    )


def tile_rows(tokens: float, precision: str) -> float:
    """Rows of a tile of vLLM's fused experts where no tuned tile is known (vLLM 0.22, fused_moe.py, get_default_config)."""
    bounds = SCALED_TILES if precision in SCALE_BLOCK else TILES
    return next(rows for most, rows in bounds if tokens <= most)


def grouped(rows: Sequence[float], k: int, n: int, precision: str, passed: float, tile: float | None = None) -> Kernel:
    """One product of k × n for each expert, with `rows` of them; `passed` rows are written in all. Tiles have `tile` rows if given.

    Experts with about as many rows (within a factor of two) are taken together.
    """
    number_format = FORMATS[precision]
    classes: dict[int, list[float]] = {}
    for count in rows:
        classes.setdefault(frexp(count)[1], []).append(count)
    signatures = tuple(_group(sum(each), k, n, len(each), precision, len(classes) > 1, tile) for each in classes.values())
    weight = TensorSpec((len(rows), k, n), number_format)
    reads, writes = (TensorSpec((sum(rows), k), number_format), weight), (TensorSpec((passed, n), "bf16"),)
    return Kernel("est.grouped_mm", "matmul", "forward", "", signatures, reads, writes, number_format)


def _group(rows: float, k: int, n: int, experts: int, precision: str, ragged: bool, tile: float | None) -> Signature:
    """A grouped product in which every expert gets work."""
    number_format, block = FORMATS[precision], SCALE_BLOCK.get(precision)
    scale = (("scale_a", TensorSpec((rows, k / block), SCALE_FORMAT[precision])),) if block else ()
    a, b = TensorSpec((rows, k), number_format), TensorSpec((experts, k, n), number_format)
    arguments = (
        ("input", a),
        ("weight", b),
        ("picks", experts),
        *scale,
        *((("zipf", 0),) if ragged else ()),
        *((("tile_rows", tile),) if tile else ()),
    )
    return Signature("est.grouped_mm", arguments, (TensorSpec((rows, n), "bf16"),))


def _pass(op: str, read: TensorSpec, written: TensorSpec) -> Kernel:
    """An element-wise pass of the expert layers, a block for each row: little is in flight."""
    return kernel(op, ROW_PASS, {"self": read}, (written,), read.format)


def _pointwise(op: str, read: TensorSpec, written: TensorSpec) -> Kernel:
    return kernel(op, "pointwise", {"self": read}, (written,), read.format)


def quantise(row: Row) -> Kernels:
    """From bf16 to fp8: the largest magnitude of the matrix, or scaling with a known one."""
    matrix = TensorSpec((row.whole("m"), row.whole("k")), "bf16")
    if row.text("task") == "computescale" and is_tensorrt_llm(row):
        return (scale_search(*matrix.shape),)
    if row.text("task") == "computescale":
        return (kernel("aten.amax", "reduction", {"self": matrix}, (TensorSpec((1,), "bf16"),), "bf16"),)
    return (_pointwise("aten.mul", matrix, TensorSpec(matrix.shape, "fp8_e4m3")),)


def convolution_1d(row: Row) -> Kernels:
    """Causal depth-wise convolution over time of a recurrent layer's inputs, with its activation."""
    tokens, taps = row.number("num_tokens"), row.number("d_conv")
    if row.text("task") == "gdn":
        keys, values = row.number("num_k_heads") * row.number("head_k_dim"), row.number("num_v_heads") * row.number("head_v_dim")
        # TensorRT-LLM's collector convolves the keys alone: its times do not depend on the number of values
        channels = keys if row.text("framework").startswith("TRTLLM") else 2 * keys + values
    else:
        channels = row.number("nheads") * row.number("head_dim") + 2 * row.number("n_groups") * row.number("d_state")
    x = TensorSpec((tokens, channels), "bf16")
    products = TensorSpec((tokens, channels, taps), "bf16")  # a multiply-add per tap, on the vector units
    flop = tuple(Signature("aten.mul", (("self", products),), (products,)) for _ in range(2))
    return (Kernel("conv1d", GROUP_PASS, "forward", "", flop, reads=(x,), writes=(x,), format="bf16"),)
