"""What cannot be traced says which operation of which module, and the way out."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from estimator.errors import EstimatorError, InvalidSetting, MissingDependency, MissingInputs, TraceError
from estimator.model.tracing import trace
from tests.lint.source import ROOT
from tests.model.cases import Calls, empty, linear


def test_an_operation_without_a_meta_kernel_is_named():
    library = torch.library.Library("estimator_test", "DEF")
    try:
        library.define("opaque(Tensor x) -> Tensor")
        library.impl("opaque", lambda x: x, "CPU")
        model = nn.Sequential(linear(), Calls(lambda _, x: torch.ops.estimator_test.opaque(x)))
        with pytest.raises(TraceError, match=r"estimator_test\.opaque\(\(2, 32\)\) in module '1' has no meta kernel.*register_fake"):
            trace(model, empty(2, 32))
    finally:
        library._destroy()


def test_a_custom_operation_with_a_meta_kernel_is_traced_and_listed_as_unknown():
    library = torch.library.Library("estimator_test", "DEF")
    try:
        library.define("swish(Tensor x, float beta=1.5) -> Tensor")
        library.impl("swish", lambda x, beta=1.5: torch.empty_like(x), "Meta")
        traced = trace(Calls(lambda _, x: torch.ops.estimator_test.swish(x)), empty(2, 32))
    finally:
        library._destroy()
    assert traced.coverage.unknown == (("estimator_test.swish", 1),)
    assert traced.signatures[0]["beta"] == 1.5


def test_wrong_shapes_name_the_module_and_show_both():
    model = nn.Sequential(nn.Linear(32, 8), nn.Sequential(nn.ReLU(), nn.Linear(16, 3)))
    message = r"aten\.addmm\(\(3,\), \(4, 8\), \(16, 3\)\) in module '1\.1' failed: .*Check the shapes and dtypes of the inputs"
    with pytest.raises(TraceError, match=message):
        trace(model, empty(4, 32))


def test_wrong_attention_shapes_are_noticed():
    model = Calls(lambda _, q, k: nn.functional.scaled_dot_product_attention(q, k, k))
    with pytest.raises(TraceError, match=r"est\.attention.* head_dim of query and key differ: \(1, 2, 3, 4\) and \(1, 2, 3, 5\)"):
        trace(model, empty(1, 2, 3, 4), empty(1, 2, 3, 5))


def test_wrong_shapes_in_backward_name_the_layer():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad @ grad

    model = nn.Sequential(linear(), Calls(lambda _, x: Wrong.apply(x)))
    with pytest.raises(TraceError, match=r"aten\.mm\(\(2, 32\), \(2, 32\)\) in module '1' failed"):
        trace(model, empty(2, 32), backward=True)


def test_an_error_of_the_module_itself_keeps_its_text_and_place():
    def forward(_, x):
        raise ValueError("sequence length must be a multiple of 7")

    model = nn.Sequential(nn.Sequential(linear(), Calls(forward)))
    with pytest.raises(TraceError, match=r"module '0\.1' failed: ValueError: sequence length must be a multiple of 7\. Check") as caught:
        trace(model, empty(2, 32))
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_missing_and_surplus_inputs_show_what_forward_takes(args):
    with pytest.raises(MissingInputs, match=r"Linear\.forward\(input: .*\) .*cannot be called .* argument.*trace\(model, \*inputs"):
        trace(nn.Linear(2, 2), *args)


def test_a_model_must_be_a_module():
    with pytest.raises(InvalidSetting, match=r"expected a torch\.nn\.Module"):
        trace("gpt2", empty(1))


def test_an_unknown_optimizer_lists_the_known_ones():
    with pytest.raises(InvalidSetting, match=r"optimizer='adma': expected one of sgd, momentum, adam, adamw.* torch\.optim\.Optimizer"):
        trace(linear(), empty(2, 32), backward=True, optimizer="adma")


def test_an_optimizer_needs_gradients():
    with pytest.raises(InvalidSetting, match="needs gradients: pass backward=True"):
        trace(linear(), empty(2, 32), optimizer="sgd")


def test_backward_needs_something_to_train():
    with pytest.raises(TraceError, match="depends on trainable weights; .*Unfreeze parameters"):
        trace(linear().requires_grad_(False), empty(2, 32), backward=True)
    with pytest.raises(TraceError, match="no trainable parameter"):
        trace(linear().requires_grad_(False), empty(2, 32, requires_grad=True), backward=True, optimizer="sgd")


def test_loops_that_hide_their_body_are_refused():
    from torch._higher_order_ops.while_loop import while_loop

    model = Calls(lambda _, x: while_loop(lambda i: i.sum() < 3, lambda i: (i + 1,), (x,)))
    with pytest.raises(TraceError, match="higher-order operator while_loop in the model itself hides its body"):
        trace(model, empty(2, 32))


def test_inputs_that_cannot_be_copied_say_so():
    class Holder:
        def __init__(self):
            self.tensor, self.stream = empty(2, 32), (n for n in range(3))

    with pytest.raises(TraceError, match="an input of type Holder cannot be copied: .*generator.* Pass its tensors instead"):
        trace(Calls(lambda m, h: m.layer(h.tensor), layer=linear()), Holder())


def test_tensor_subclasses_are_counted_dense_and_listed():
    class Packed(torch.Tensor):
        pass

    traced = trace(linear(), empty(2, 32).as_subclass(Packed))
    assert traced.decisions == ("tensors of class Packed counted as dense ones of their dtype",)


def test_lazy_parameters_ask_for_a_first_call():
    with pytest.raises(TraceError, match="call it once on an example batch"):
        trace(nn.LazyLinear(3), empty(2, 32))


def test_sparse_gradients_say_what_to_use_instead():
    with pytest.raises(TraceError, match="Sparse layouts are not supported: use dense tensors"):
        trace(nn.Embedding(10, 4, sparse=True), torch.tensor([1, 2]), backward=True)


@pytest.mark.filterwarnings("ignore:ComplexHalf support")
def test_an_unsupported_dtype_lists_the_supported_ones():
    with pytest.raises(TraceError, match=r"torch\.complex32 is not supported; known are bfloat16, .*Cast"):
        trace(Calls(lambda _, x: x * 1), empty(2, dtype=torch.complex32))


def test_every_trace_error_is_the_estimator_s_own():
    assert issubclass(TraceError, EstimatorError)


def test_without_torch_the_message_says_what_to_install():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from estimator.errors import MissingDependency\n"
        "try: from estimator.model.tracing import trace\n"
        "except MissingDependency as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "`pip install torch` adds it" in done.stdout
    assert issubclass(MissingDependency, ImportError)
