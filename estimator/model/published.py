"""Names of published models that say how their weights are stored: `…-FP8`, `…-AWQ`, `gpt-oss`."""

import re

SUFFIXES = {  # what publishers append to a name, and the weight format that it stands for
    "-fp8-dynamic": "fp8",
    "-fp8-block": "fp8",
    "-fp8-kv": "fp8",
    "-fp8": "fp8",
    "-awq-int4": "int4",
    "-awq": "int4",
    "-gptq-int4": "int4",
    "-gptq-int8": "int8",
    "-gptq": "int4",
    "-quantized.w4a16": "int4",
    "-quantized.w8a16": "int8",
    "-quantized.w8a8": "int8",
    "-w4a16": "int4",
    "-w8a16": "int8",
    "-w8a8": "int8",
    "-bnb-4bit": "int4",
    "-4bit": "int4",
    "-8bit": "int8",
    "-int4": "int4",
    "-int8": "int8",
    "-nvfp4": "nvfp4",
    "-fp4": "nvfp4",
    "-mxfp4": "mxfp4",
}
EXPERTS_ALONE = {"mxfp4": ("*attn*", "embed*")}  # modules that publishers of this format leave wide, beside heads and routers
BY_NAME = {"gpt-oss": "mxfp4"}  # families that are published in one format only


def stored(name: str) -> tuple[str, str | None]:
    """(name of the model, format of its weights) of a published name; None where the name does not say."""
    lower = name.lower()
    for suffix, scheme in SUFFIXES.items():
        if lower.endswith(suffix):
            return name[: -len(suffix)], scheme
    family = re.split(r"[/]", lower)[-1]
    return name, next((scheme for start, scheme in BY_NAME.items() if family.startswith(start)), None)


def scheme_of(precision: str) -> str | None:
    """The weight format that a data set's text stands for, None for plain floating point of 16 or 32 bits."""
    text = precision.lower()
    known = {"fp8": "fp8", "mxfp4": "mxfp4", "nvfp4": "nvfp4", "fp4": "nvfp4", "awq": "int4", "gptq": "int4", "int4": "int4", "w4": "int4",
             "int8": "int8", "w8": "int8"}  # fmt: skip
    return next((scheme for start, scheme in known.items() if start in text), None)
