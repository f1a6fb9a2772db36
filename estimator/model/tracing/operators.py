"""What an operator's schema says about running and recording it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from estimator.model.tracing.rewrites import rewrite_of
from estimator.model.tracing.signatures import tensors_in

VIEWS = {"_unsafe_view", "_reshape_alias", "lift_fresh"}
ALLOCATIONS = {"empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided", "empty_permuted"}
CHECKS = {"_assert_async", "_assert_scalar", "_assert_tensor_metadata", "sym_size", "sym_stride", "sym_numel", "sym_constrain_range"}
FREE = VIEWS | ALLOCATIONS | CHECKS
ROUTERS = {"topk"}
BOOKKEEPING = {"prim", "profiler"}


@dataclass(frozen=True, slots=True)
class Operator:
    """How to treat one overload."""

    name: str
    view: bool  # returns another look at its input
    free: bool  # costs nothing: views, bare allocations, checks
    positions: tuple[int, ...]  # positional arguments that it writes
    keywords: tuple[str, ...]  # keyword arguments that it writes
    random: bool  # its values cannot be known in advance
    dynamic: bool  # its output shape depends on values
    repeats: bool  # the same arguments give fresh outputs of the same shapes
    rewrite: Callable | None

    def written(self, args: tuple, kwargs: dict) -> list[torch.Tensor]:
        """The tensors that a call overwrites."""
        if not (self.positions or self.keywords):
            return []
        values = [args[i] for i in self.positions if i < len(args)] + [kwargs[k] for k in self.keywords if k in kwargs]
        return tensors_in(values)


def describe(func: Any) -> Operator:
    """Read an overload's schema and tags; a higher-order operator has none."""
    if isinstance(func, torch._ops.HigherOrderOperator):
        return Operator(f"higher_order.{func.name()}", False, True, (), (), True, False, False, rewrite_of(func))
    schema, short = func._schema, func._schema.name.split("::")[1]
    written = [(i, a) for i, a in enumerate(schema.arguments) if a.alias_info is not None and a.alias_info.is_write]
    view = not written and any(result.alias_info is not None for result in schema.returns)
    dynamic = torch.Tag.dynamic_output_shape in func.tags or torch.Tag.data_dependent_output in func.tags
    return Operator(
        name=schema.name.replace("::", "."),
        view=view or short in VIEWS,
        free=view or short in FREE or func.namespace in BOOKKEEPING,
        positions=tuple(index for index, argument in written if not argument.kwarg_only),
        keywords=tuple(argument.name for _, argument in written if argument.kwarg_only),
        random=short in ALLOCATIONS or torch.Tag.nondeterministic_seeded in func.tags,
        dynamic=dynamic,
        repeats=not (written or dynamic or short in FREE | ROUTERS),
        rewrite=rewrite_of(func),
    )
