"""Shapes of results that torch does not tell on meta tensors."""

import torch

META = torch.library.Library("aten", "IMPL")
GRU_GATES, GRU_KEPT = 3, 5  # exact: reset, update and new; a cell keeps them, the state and the new gate's hidden part


def _gru_cell(input_gates, hidden_gates, state, input_bias=None, hidden_bias=None):
    return torch.empty_like(state), state.new_empty(state.shape[0], GRU_KEPT * state.shape[1])


def _gru_cell_backward(grad, kept, has_bias):
    gates = grad.new_empty(grad.shape[0], GRU_GATES * grad.shape[1])
    bias = grad.new_empty(gates.shape[1]) if has_bias else None
    return gates, torch.empty_like(gates), torch.empty_like(grad), bias, None if bias is None else torch.empty_like(bias)


def _ctc_loss(log_probs, targets, *rest, **settings):
    """With lengths that are not known: as if every target were as long as the longest."""
    steps, batch, _ = log_probs.shape
    return log_probs.new_empty(batch), log_probs.new_empty(batch, steps, 2 * targets.shape[-1] + 1)


def _ctc_loss_backward(grad, log_probs, *rest, **settings):
    return torch.empty_like(log_probs)


META.impl("_thnn_fused_gru_cell", _gru_cell, "Meta")
META.impl("_thnn_fused_gru_cell_backward", _gru_cell_backward, "Meta")
META.impl("_ctc_loss.Tensor", _ctc_loss, "Meta")
META.impl("_ctc_loss_backward", _ctc_loss_backward, "Meta")
META.impl("_ctc_loss_backward.Tensor", _ctc_loss_backward, "Meta")
