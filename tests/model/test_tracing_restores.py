"""A trace leaves the caller's module, tensors, optimizer and torch itself as they were, and needs no weight values."""

import copy
import gc
import warnings

import pytest
import torch
import torch.overrides
from torch import nn

from estimator.errors import TraceError
from estimator.model.tracing import trace
from tests.model.cases import Calls


class Worker(nn.Module):
    """Does to itself whatever modules do while they run."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.rnn = nn.LSTM(4, 4, batch_first=True)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.history, self.constant, self.last = [], torch.arange(4.0), None

    def forward(self, x):
        y = self.norm(x) * self.constant
        self.steps += 1
        self.history.append(y)
        self.last = self.rnn(y[:, None])[0]
        self.added = nn.Linear(4, 4, device="meta")
        return self.last + self.added(y)[:, None]


def state(model):
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers()), "constant": model.constant}
    return {name: (id(tensor), tensor.data_ptr(), tensor._version, tensor.clone()) for name, tensor in tensors.items()}


def assert_untouched(model, before):
    after = state(model)
    assert list(after) == list(before)
    for name, (*identity, values) in before.items():
        assert after[name][:3] == tuple(identity)
        assert torch.equal(after[name][3], values)
    assert (model.history, model.last, hasattr(model, "added")) == ([], None, False)
    assert all(parameter.grad is None and not parameter._post_accumulate_grad_hooks for parameter in model.parameters())
    assert model.rnn._flat_weights[0] is model.rnn.weight_ih_l0


@pytest.mark.parametrize("training", [None, True, False])
def test_a_real_module_comes_back_unchanged(training):
    model, x = Worker(), torch.randn(3, 4)
    before = state(model)
    trace(model, x, backward=True, optimizer="adamw", training=training)
    assert_untouched(model, before)
    assert model.training and model.norm.training
    assert x.grad is None and x.device.type == "cpu"


def test_a_module_comes_back_unchanged_after_a_failure():
    model = Worker()
    before = state(model)
    with pytest.raises(TraceError):
        trace(model, torch.randn(3, 5), backward=True)
    assert_untouched(model, before)


def test_torch_is_as_before_even_after_a_failure():
    def snapshot():
        hooks = nn.modules.module
        return (
            torch.amp.autocast_mode.autocast.__enter__, torch.cuda.is_bf16_supported,
            torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled(), len(hooks._global_forward_hooks),
            len(hooks._global_forward_pre_hooks), torch._C._len_torch_dispatch_stack(), torch._C._len_torch_function_stack(),
        )  # fmt: skip

    def attention_is_decomposed():
        from torch.utils.flop_counter import FlopCounterMode

        x = torch.empty(1, 1, 2, 4, device="meta")
        with FlopCounterMode(display=False) as counter:
            nn.functional.scaled_dot_product_attention(x, x, x)
        return counter.get_total_flops() == 2 * 2 * 2 * 2 * 4

    before = snapshot()
    trace(Worker(), torch.randn(3, 4), backward=True)
    with pytest.raises(TraceError):
        trace(Worker(), torch.randn(3, 5), backward=True)
    with pytest.raises(KeyboardInterrupt):
        trace(Calls(_interrupt), torch.randn(1))
    assert snapshot() == before
    assert attention_is_decomposed()


def _interrupt(*_):
    raise KeyboardInterrupt


def test_an_optimizer_instance_comes_back_unchanged():
    model = nn.Linear(4, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    before = copy.deepcopy(optimizer.state_dict())
    traced = trace(model, torch.randn(2, 4), backward=True, optimizer=optimizer)
    assert optimizer.state_dict() == before
    assert optimizer.param_groups[0]["params"][0] is model.weight
    assert {call.phase for call in traced.calls} == {"forward", "backward", "optimizer"}
    # the step that makes the moments is not the one that is traced: an update, without creation
    assert not any(traced.signatures[c.signature].op.startswith("aten.zeros") for c in traced.calls if c.phase == "optimizer")


def test_a_fused_optimizer_instance_is_one_record():
    model = nn.Linear(4, 4)
    for optimizer, name in (
        (torch.optim.AdamW(model.parameters(), fused=True), "adamw"),
        (torch.optim.SGD(model.parameters(), momentum=0.9, fused=True), "momentum"),
    ):
        traced = trace(model, torch.randn(2, 4), backward=True, optimizer=optimizer)
        (step,) = [traced.signatures[call.signature] for call in traced.calls if call.phase == "optimizer"]
        assert step["name"] == name


def test_no_weight_is_copied():
    model, x = nn.Sequential(*(nn.Linear(512, 512) for _ in range(4))), torch.randn(2, 512)
    real = {p.data_ptr() for p in model.parameters()}

    class Allocations(torch.utils._python_dispatch.TorchDispatchMode):
        found = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and not out.is_meta and out.data_ptr() not in real:
                self.found += out.untyped_storage().nbytes()
            return out

    with Allocations() as allocations:
        trace(model, x, backward=True, optimizer="adamw")
    assert allocations.found == 0


def test_nothing_of_a_trace_stays_alive_in_torch():
    model = nn.Linear(4, 4, device="meta")
    gc.collect()  # failed traces of other tests live on in their exceptions
    before = [thing for thing in gc.get_objects() if type(thing).__name__ in ("Recorder", "Storages", "StandIns")]
    trace(model, torch.empty(2, 4), backward=True)
    gc.collect()
    assert [thing for thing in gc.get_objects() if type(thing).__name__ in ("Recorder", "Storages", "StandIns")] == before


def test_modes_are_kept_unless_another_is_asked_for():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.BatchNorm1d(4))
    model[2].eval()

    def ops(**options):
        traced = trace(model, torch.empty(2, 4), **options)
        return {traced.signatures[call.signature].op for call in traced.calls}

    dropout = {op for op in ops() if "dropout" in op or "bernoulli" in op}
    assert dropout  # a module in train mode drops, also without backward
    assert not ops(training=False) & dropout
    assert model.training and not model[2].training
    assert ops(training=True, backward=True) > dropout


class Announcing(nn.Linear):
    def __init__(self, notice):
        super().__init__(4, 4)
        self.notice = notice

    def forward(self, x):
        warnings.warn("this argument goes in the next version", self.notice, stacklevel=1)
        return super().forward(x)


@pytest.mark.parametrize("notice", [FutureWarning, DeprecationWarning])
def test_a_library_may_announce_a_deprecation_where_warnings_are_errors(notice):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("error")
        assert trace(Announcing(notice), torch.empty(2, 4)).matmul_flop == 2 * 2 * 4 * 4
        with pytest.raises(notice):
            warnings.warn("ours", notice, stacklevel=1)  # the filters are back
    assert [warning.category for warning in shown] == [notice]


def test_any_other_warning_stops_a_trace_where_warnings_are_errors():
    with pytest.raises(TraceError, match="UserWarning: this argument goes"):
        trace(Announcing(UserWarning), torch.empty(2, 4))


def test_a_warning_that_is_ignored_stays_ignored():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("ignore")
        trace(Announcing(FutureWarning), torch.empty(2, 4))
    assert not shown
