"""Results kept by which objects they were worked out from."""

from estimator.kept import kept


class Thing:
    """Equal to every other one, so that only identity tells them apart."""

    def __eq__(self, other):
        return True

    __hash__ = None


def counting(most):
    calls = []

    @kept(most)
    def identity(*given):
        calls.append(given)
        return given

    return identity, calls


def test_the_same_objects_are_worked_out_once_and_equal_ones_apart():
    identity, calls = counting(8)
    one, other = Thing(), Thing()
    assert identity(one)[0] is identity(one)[0] is one
    assert identity(other)[0] is other
    assert identity(one, other) == (one, other)
    assert len(calls) == 3


def test_only_the_latest_stay():
    identity, calls = counting(2)
    things = [Thing() for _ in range(3)]
    for thing in [*things, things[2], things[0]]:
        assert identity(thing)[0] is thing
    assert len(calls) == 4  # the first was forgotten for the third


def test_an_object_that_is_gone_lends_its_identity_to_no_other():
    identity, _ = counting(50)
    for _ in range(200):
        thing = Thing()
        assert identity(thing)[0] is thing
