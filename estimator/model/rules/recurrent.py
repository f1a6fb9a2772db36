"""Recurrent layers: input gates of all steps in one product, then one small product per step.

mkldnn's layer is one direction of one layer: x (T, B, I), W_ih (G, I), W_hh (G, H), with G = 4 H (LSTM), 3 H (GRU) or H.
"""

from estimator.model.rules.access import Touch, touches
from estimator.model.rules.matmul import matrix_product
from estimator.model.rules.registry import moved, rule
from estimator.model.rules.table import PerElement, flop_per_element
from estimator.model.work import MatrixProduct, Signature, TensorSpec, Work

LSTM, GRU = 2, 3  # exact: modes as torch numbers them, after 0 RNN with ReLU and 1 RNN with tanh
CELL = {LSTM: "lstm", GRU: "gru"}


def _sizes(op: Signature, w_ih: TensorSpec, w_hh: TensorSpec):
    steps, batch = op["input"].shape[0], op["input"].shape[1]
    return steps, batch, w_ih.shape[0], w_ih.shape[1], w_hh.shape[1]


def _cell(mode: int, suffix: str = "") -> PerElement:
    return flop_per_element(CELL[mode] + suffix) if mode in CELL else flop_per_element("tanh")


@rule("aten.mkldnn_rnn_layer", kind="matmul")
def rnn_layer(op: Signature) -> Work:
    """Input and recurrent products and the cells' element-wise part."""
    steps, batch, gates, inputs, hidden = _sizes(op, op["weight0"], op["weight1"])
    products = (MatrixProduct(1, steps * batch, gates, inputs), MatrixProduct(steps, batch, gates, hidden))
    cell, units = _cell(op["mode"]), steps * batch * hidden
    return moved(op, products=products, vector=cell.vector * units, special=cell.special * units)


@rule("aten.mkldnn_rnn_layer_backward", kind="matmul")
def rnn_layer_backward(op: Signature) -> Work:
    """Gradients of input and state, step by step for the state; gradients of both weights in one product each."""
    steps, batch, gates, inputs, hidden = _sizes(op, op["weight1"], op["weight2"])
    products = (
        MatrixProduct(1, steps * batch, inputs, gates),
        MatrixProduct(steps, batch, hidden, gates),
        MatrixProduct(1, gates, inputs, steps * batch),
        MatrixProduct(1, gates, hidden, steps * batch),
    )
    cell, units = _cell(op["mode"], "_backward"), steps * batch * hidden
    return moved(op, products=products, vector=cell.vector * units, special=cell.special * units)


@rule("est.recurrent_mm", kind="matmul")
def recurrent_mm(op: Signature) -> Work:
    """A product of an accelerator's recurrent layer, in the format that its library chooses."""
    return moved(op, products=(matrix_product(op["self"], op["mat2"]),))


@rule("est.recurrent_addmm", kind="matmul")
def recurrent_addmm(op: Signature) -> Work:
    """The same, added to what is there."""
    return moved(op, products=(matrix_product(op["mat1"], op["mat2"]),), vector=op.outputs[0].elements)


def _cell_rule(op_name: str, state: str, entry: str) -> None:
    @rule(op_name, fuses=False)
    def cell(op: Signature) -> Work:
        per_unit, units = flop_per_element(entry), op[state].elements
        return moved(op, vector=per_unit.vector * units, special=per_unit.special * units)


_cell_rule("aten._thnn_fused_lstm_cell", "cx", "lstm")
_cell_rule("aten._thnn_fused_lstm_cell_backward_impl", "cx", "lstm_backward")
_cell_rule("aten._thnn_fused_gru_cell", "hx", "gru")
_cell_rule("aten._thnn_fused_gru_cell_backward", "grad_hy", "gru_backward")


@rule("est.state_pass", kind="recurrence")
def state_pass(op: Signature) -> Work:
    """A linear recurrence handed from chunk to chunk: each reads its tokens against the state, then adds its own outer products.

    `state` is (sequences × heads, K, V); `steps` chunks of `chunk` tokens follow one another in each.
    """
    states, keys, values = op["state"].shape
    chunks = states * op["steps"]
    return moved(
        op,
        products=(MatrixProduct(chunks, op["chunk"], values, keys), MatrixProduct(chunks, keys, values, op["chunk"])),
        vector=chunks * keys * values,  # the state decays once a chunk
    )


STATE_UPDATE = 7  # exact: a state's element decays (1), is read at the key and corrected (2 + 2) and read at the query (2)


@rule("est.state_step", fuses=False)
def state_step(op: Signature) -> Work:
    """One token of a linear recurrence for every sequence and head: the state (batch, heads, K, V) is read, changed and written once."""
    return moved(op, vector=STATE_UPDATE * op["state"].elements)


@touches("est.state_step")
def changed_states(op: Signature) -> Touch:
    """States are written where they were read."""
    return Touch({}, writes=(op["state"], op.outputs[0]))
