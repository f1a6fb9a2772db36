"""Recurrent layers as accelerators run them: all input gates in one product, then one product and one fused cell per step.

On meta tensors torch would launch every gate's pointwise operation apart, and add up the weights' gradients step by step.
cuDNN hands them over as one product behind the last step (Appleyard, Kočiský and Blunsom, arXiv:1604.01946, sections 3 and 3.4).
"""

from collections.abc import Sequence
from typing import Any

import torch

from estimator.model.tracing import shapes  # noqa: F401
from estimator.model.tracing.opaque import LIBRARY

aten = torch.ops.aten
LIBRARY.define("recurrent_mm(Tensor self, Tensor mat2) -> Tensor")
LIBRARY.define("recurrent_addmm(Tensor self, Tensor mat1, Tensor mat2) -> Tensor")
torch.library.impl(LIBRARY, "recurrent_mm", "Meta")(lambda left, right: left.new_empty(left.shape[0], right.shape[1]))
torch.library.impl(LIBRARY, "recurrent_addmm", "Meta")(lambda added, left, right: torch.empty_like(added))


class _Lstm:
    """A step and its gradient; a state is (hidden, cell)."""

    @staticmethod
    def step(gates, hidden_gates, state, biases) -> tuple:
        hidden, cell, kept = aten._thnn_fused_lstm_cell(gates, hidden_gates, state[1], *biases)
        return (hidden, cell), (state[1], cell, kept)

    @staticmethod
    def back(grads, above, saved) -> tuple:
        """Gradients of the gates, of the rest of the state before, and what their product adds to: the gradient from above."""
        gates, before, _ = aten._thnn_fused_lstm_cell_backward_impl(*grads, *saved, False)
        return gates, (before,), above


class _Gru:
    """The same for a state that is (hidden,)."""

    @staticmethod
    def step(gates, hidden_gates, state, biases) -> tuple:
        hidden, kept = aten._thnn_fused_gru_cell(gates, hidden_gates, state[0], *biases)
        return (hidden,), (kept,)

    @staticmethod
    def back(grads, above, saved) -> tuple:
        """The gradient from above is added in the cell: the product adds to what passes the update gate."""
        _, hidden_gates, before, *_ = aten._thnn_fused_gru_cell_backward(*grads, *saved, False)
        return hidden_gates, (), before


class _Layer(torch.autograd.Function):
    """One layer in all its directions: (steps, batch, inputs) to (steps, batch, directions × hidden) and the last states.

    `weights` are input and hidden weights and biases of each direction, `states` the parts of each direction's state.
    """

    @staticmethod
    def forward(ctx: Any, cell: Any, directions: int, inputs, *tensors) -> tuple:
        weights, states = _apiece(tensors[: 4 * directions], directions), _apiece(tensors[4 * directions :], directions)
        last: list[torch.Tensor] = []
        ctx.kept = []
        for index, ((w_ih, w_hh, *biases), state) in enumerate(zip(weights, states)):
            gates = torch.ops.est.recurrent_mm(inputs.flatten(0, 1), w_ih.t()).view(*inputs.shape[:2], -1)
            kept = []
            for step in _order(len(inputs), index):
                state, saved = cell.step(gates[step], torch.ops.est.recurrent_mm(state[0], w_hh.t()), state, biases)
                kept.append(saved)
            ctx.kept.append(kept)
            last += state
        out = inputs.new_empty(*inputs.shape[:2], directions * weights[0][1].shape[1])  # the cells write their states here
        ctx.cell, ctx.biased = cell, weights[0][2] is not None
        ctx.save_for_backward(inputs, out, *(one for pair in weights for one in pair[:2]))
        return (out, *last)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad, *last) -> tuple:
        inputs, out, *weights = ctx.saved_tensors
        directions, total = len(ctx.kept), None
        found: list[Any] = []
        states: list[Any] = []
        for index, (pair, kept, end) in enumerate(zip(_apiece(weights, directions), ctx.kept, _apiece(last, directions))):
            above = [part.chunk(directions, -1)[index] for part in grad]
            states += _through_time(ctx, pair[1], kept, above, end, _order(len(grad), index)[::-1])
            rows = grad.new_empty(grad.shape[0] * grad.shape[1], pair[0].shape[0])  # where the cells write the gates' gradients
            if ctx.needs_input_grad[2]:
                share = torch.ops.est.recurrent_mm(rows, pair[0]).view_as(inputs)
                total = share if total is None else total + share
            bias = rows.sum(0) if ctx.biased else None
            before = out.chunk(directions, -1)[index].flatten(0, 1)
            found += [torch.ops.est.recurrent_mm(rows.t(), inputs.flatten(0, 1)), torch.ops.est.recurrent_mm(rows.t(), before), bias, bias]
        return None, None, total, *found, *states


def _through_time(ctx: Any, w_hh, kept: Sequence, above: Sequence, end: Sequence, order: Sequence[int]) -> tuple:
    """Gradients of the state before the first step; the last product is only for them."""
    grads = (above[order[0]], *end[1:])
    for count in range(1, len(order) + 1):
        more = above[order[min(count, len(order) - 1)]]
        hidden_gates, rest, added = ctx.cell.back(grads, more, kept[len(kept) - count])
        if count < len(order) or any(ctx.needs_input_grad[-len(end) :]):
            grads = (torch.ops.est.recurrent_addmm(added, hidden_gates, w_hh), *rest)
    return grads


def _order(steps: int, reverse: int) -> Sequence[int]:
    return range(steps)[::-1] if reverse else range(steps)


def _apiece(flat: Sequence, directions: int) -> list[Sequence]:
    size = len(flat) // directions
    return [flat[index * size : (index + 1) * size] for index in range(directions)]


CELLS = {torch.lstm: _Lstm, torch.gru: _Gru}


def recurrent(func: Any, inputs, states, weights, *settings: Any) -> Any:
    """What `torch.lstm` or `torch.gru` return, or NotImplemented for packed sequences and projections, which stay in single operations."""
    if isinstance(states, torch.Tensor) and not states.is_floating_point():  # rows of each step of packed sequences
        return NotImplemented
    biased, layers, dropout, train, both, batch_first = settings
    directions, size = 1 + both, 4 if biased else 2  # exact: weights, and biases, of inputs and states
    if len(weights) != layers * directions * size:
        return NotImplemented
    states = states if isinstance(states, tuple) else (states,)
    x, last = inputs.transpose(0, 1) if batch_first else inputs, []
    for layer in range(layers):
        if layer:
            x = torch.nn.functional.dropout(x, dropout, train) if dropout else x
        places = range(layer * directions, (layer + 1) * directions)
        ours = [one for place in places for one in (*weights[place * size : (place + 1) * size], *(() if biased else (None, None)))]
        x, *ends = _Layer.apply(CELLS[func], directions, x, *ours, *(state[place] for place in places for state in states))
        last += ends
    ends = [torch.stack(last[index :: len(states)]) for index in range(len(states))]
    return (x.transpose(0, 1) if batch_first else x, *ends)
