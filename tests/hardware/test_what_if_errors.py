"""What the real part would refuse comes with a warning, what no part can do is refused with the reason."""

import math
import re

import pytest

from estimator.errors import EstimatorError, Infeasible, InvalidSetting, UnknownName
from estimator.hardware.catalogue import load_profile
from estimator.hardware.demand import Demand
from estimator.hardware.events import count_events
from estimator.hardware.operating_point import Load, settle
from estimator.hardware.roofline import duration

H100 = load_profile("h100-sxm")


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ({"power_limit": 900}, "WARNING: the driver of .* accepts caps of 200 to 700 W; 900 W is computed all the same"),
        ({"power_limit": 150}, "WARNING: .* 200 to 700 W; 150 W is computed all the same"),
        ({"voltage": 0.6}, r"WARNING: 0.6 V is below the 0.7 V that .* keeps at least: memories may fail"),
        ({"temperature": "100 degC"}, r"WARNING: 100 °C is above the highest junction temperature of .*, 87 °C"),
        ({"temperature": 60}, r"WARNING: 60 K is -213 °C, colder than any figure here was taken at; write '60 degC' if Celsius was meant"),
    ],
)
def test_what_the_real_part_would_refuse_is_computed_with_a_warning(settings, warning):
    assert re.search(warning, " ".join(H100.at(**settings).what_if))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"clock": "2.5 GHz"}, Infeasible, r"clock=2.5 GHz: the voltage-frequency curve of .* ends at 1.98 GHz \(0.98 V\); give at most"),
        ({"clock": "100 MHz"}, Infeasible, "clock=100 MHz: .* does not clock below 345 MHz; give at least that"),
        ({"clock": "quick"}, InvalidSetting, "clock='quick': cannot read 'quick'.*; expected hertz above zero"),
        ({"clock": "1.2 V"}, InvalidSetting, "clock='1.2 V': wrong unit 'V': expected 'Hz'"),
        ({"clock": [1]}, InvalidSetting, r"clock=\[1\]: .* is no number"),
        ({"voltage": 0.3}, Infeasible, "voltage=0.3 V: the transistors of .* switch on at their threshold of 0.45 V; give more"),
        ({"voltage": 1.1}, Infeasible, r"voltage=1.1 V: the voltage-frequency curve of .* ends at 0.98 V \(1.98 GHz\); give at most"),
        ({"clock": 1.9e9, "voltage": 0.8}, Infeasible, r"contradict each other: .* needs 0.94\d V, .* allows 1.47\d GHz; give"),
        ({"power_limit": 0}, InvalidSetting, "power_limit=0: expected watts above zero"),
        ({"power_limit": math.nan}, InvalidSetting, "power_limit=nan: expected watts above zero"),
        ({"temperature": -5}, InvalidSetting, "temperature=-5: expected kelvin above absolute zero, or a text such as '60 degC'"),
        ({"temperature": 330, "ambient": 300}, InvalidSetting, "temperature=330 was given together with ambient: .*; give one"),
        ({"temperature": 330, "thermal_resistance": 0.1}, InvalidSetting, "given together with thermal_resistance"),
        ({"ambient": 400}, Infeasible, "ambient=400: 127 °C is no cooler than the highest junction temperature of .*, 87 °C; give less"),
        ({"thermal_resistance": -1}, InvalidSetting, "thermal_resistance=-1: expected kelvin per watt, at least zero"),
        ({"activity": "noise"}, UnknownName, "unknown operands 'noise'. .* Or give a number: 0 for zeros, 1 for random data"),
        ({"activity": 3}, InvalidSetting, "activity=3: expected operands by name, or their toggling"),
        ({"clock_gating": 1.1}, InvalidSetting, "clock_gating=1.1: expected a share between 0 and 1"),
        ({"power_gating": -0.1}, InvalidSetting, "power_gating=-0.1: expected a share between 0 and 1"),
    ],
)  # fmt: skip
def test_what_no_chip_can_do_is_refused_with_the_reason(settings, error, message):
    with pytest.raises(error, match=message) as caught:
        H100.at(**settings)
    assert isinstance(caught.value, EstimatorError)


def test_a_cooler_that_cannot_follow_the_leakage_is_told_so():
    poor, stream = H100.at(thermal_resistance=3), Demand(memory_bytes=1e9)
    with pytest.raises(Infeasible, match=r"thermal runaway: between 25 °C around it and .* of 87 °C there is none at which 3 K/W take off"):
        settle(poor, [Load(1.0, count_events(stream, poor), duration(stream, poor))])
