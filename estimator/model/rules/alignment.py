"""Connectionist temporal classification: the forward-backward algorithm over blanks and letters (Graves et al., ICML 2006, section 4.1)."""

from math import prod

from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import flop_per_element
from estimator.model.work import Signature, Work


def _paths(op: Signature) -> float:
    """States that are visited: every step of every sequence sees its letters and the blanks around them."""
    return prod(op["log_probs"].shape[:-1]) * (2 * op["targets"].shape[-1] + 1)  # exact: a blank before each letter and one at the end


@rule("aten._ctc_loss", fuses=False)
def ctc_loss(op: Signature) -> Work:
    """Forward variables of all states."""
    state, visited = flop_per_element("ctc"), _paths(op)
    return moved(op, vector=state.vector * visited, special=state.special * visited)


@rule("aten._ctc_loss_backward", fuses=False)
def ctc_loss_backward(op: Signature) -> Work:
    """Backward variables of all states, added to the letters that they stand for, and the gradient of every score."""
    state, visited, scores = flop_per_element("ctc"), _paths(op), op["log_probs"].elements
    letter = flop_per_element("ctc_backward")
    return moved(op, vector=state.vector * visited + letter.vector * scores, special=state.special * visited + letter.special * scores)
