"""What the launch before has just written."""

import pytest

from estimator.model.fusion import kernels
from estimator.model.lift import lift
from tests.model.signatures import tensor
from tests.model.streams import Stream


def resident(stream, fusion, *outputs):
    return [kernel.resident for kernel in kernels(stream.trace(*outputs), fusion)]


@pytest.mark.parametrize("fusion", ["eager", "fused"])
def test_a_result_is_resident_for_the_next_launch_alone(fusion):
    s = Stream()
    x, w = s.input(8, 16), s.input(16, 16)
    first = s.mm(x, w)
    second = s.mm(first, s.input(16, 32))
    s.mm(second, s.input(32, 4))
    s.mm(first, s.input(16, 5))  # two launches later
    assert resident(s, fusion) == [(), (tensor(8, 16),), (tensor(8, 32),), ()]


def test_products_side_by_side_run_with_the_first_of_them():
    s = Stream()
    first = s.mm(s.input(8, 16), s.input(16, 16))
    second = s.mm(first, s.input(16, 32))
    s.mm(second, s.input(32, 4))
    s.mm(first, s.input(16, 5))
    assert resident(s, "serving") == [(), (tensor(8, 16),), (tensor(8, 32),)]


def test_a_group_keeps_what_it_writes_and_not_what_stays_inside():
    s = Stream()
    hidden = s.unary("silu", s.unary("exp", s.mm(s.input(8, 4), s.input(4, 16))))
    s.mm(hidden, s.input(16, 4))
    assert resident(s, "eager") == [(), (tensor(8, 16),), (tensor(8, 16),), (tensor(8, 16),)]
    assert resident(s, "fused") == [(), (tensor(8, 16),), (tensor(8, 16),)]


def test_of_a_cache_only_the_new_rows_are_resident():
    s = Stream()
    held, new = s.input(2, 7, 4), s.unary("exp", s.input(2, 1, 4))
    s.call("est.kv_append", (2, 8, 4), into=held, cache=held, new=new)
    grown = type(held)(held.storage, tensor(2, 8, 4))
    s.call("aten.bmm", (2, 8, 8), self=grown, mat2=s.input(2, 4, 8))
    assert resident(s, "eager")[-1] == (tensor(2, 1, 4),)


def test_a_group_launched_late_follows_its_last_member():
    # the fused group starts before the second product but needs its result: it runs after it
    s = Stream()
    x = s.input(8, 4)
    activated = s.unary("silu", s.mm(x, s.input(4, 16), module="a.gate"))
    up = s.mm(x, s.input(4, 16), module="b.up")
    s.binary("mul", activated, up)
    found = {kernel.name: kernel.resident for kernel in kernels(s.trace(), "fused")}
    assert found["fused.silu+mul"] == (tensor(8, 16),)  # what the second product wrote; the first one's result is older


def test_what_is_resident_is_lifted():
    def at(batch):
        s = Stream()
        s.mm(s.mm(s.input(batch, 4), s.input(4, 16)), s.input(16, 4))
        return kernels(s.trace(), "fused")

    lifted = lift([{"batch": 2}, {"batch": 3}], [{"batch": 7}], at)
    assert str(lifted[1].resident[0].shape[0]) == "batch"
