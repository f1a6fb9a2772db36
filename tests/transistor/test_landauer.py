"""Nothing switches for less than Landauer's limit."""

from hypothesis import given
from pytest import approx

from estimator.transistor.landauer import landauer_limit
from estimator.transistor.nodes import list_nodes, load_node
from estimator.transistor.switching import switching_energy
from tests.strategies import temperatures


@given(temperatures)
def test_every_node_stays_far_above_the_limit(temperature):
    for name in list_nodes():
        node = load_node(name)
        assert switching_energy(node.full_adder_capacitance, node.threshold_voltage) > 1000 * landauer_limit(temperature)


def test_one_bit_at_room_temperature():
    # 1.380649e-23 J/K · 300 K · 0.693147 = 2.871e-21 J
    assert landauer_limit(300) == approx(2.871e-21, rel=1e-4, abs=0)


def test_a_seven_nanometre_full_adder_spends_a_few_hundred_thousand_limits():
    node = load_node("n7")
    ratio = switching_energy(node.full_adder_capacitance, 0.75) / landauer_limit(300)
    assert ratio == approx(3.6e5, rel=0.02, abs=0)
