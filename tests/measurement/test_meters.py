"""Meters: units, choice among devices, what is refused and how it is said; and that nothing is ever set."""

import re
import sys
from types import SimpleNamespace

import pytest
from pytest import approx

from estimator.errors import InvalidSetting, MissingDependency, UnknownName
from estimator.measurement.meter import Meter, MeterError, require_free
from estimator.measurement.meters import open_meter
from estimator.measurement.meters.rapl import RaplMeter
from tests.lint.source import PACKAGE
from tests.measurement.card import Card
from tests.measurement.fake_nvml import FakeNvml, NVMLError


@pytest.fixture
def nvml(monkeypatch):
    def install(**given):
        fake = FakeNvml(**given)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


def test_nvml_readings_arrive_in_si_units(nvml):
    card = Card(idle=80.0, now=10.0)
    nvml(card=card)
    meter = open_meter("nvidia")
    assert isinstance(meter, Meter)
    assert meter.name() == "NVIDIA H200"
    assert meter.energy() == approx(80 * 10, rel=1e-6, abs=0)  # mJ in NVML; ten seconds of idling
    assert meter.power() == approx(80.0, rel=1e-4, abs=0)  # mW in NVML
    assert meter.clocks() == (345e6, 3201e6)  # MHz in NVML
    assert meter.temperature() == approx(273.15 + 45, rel=1e-9, abs=0)
    assert meter.limit() == 700.0
    assert meter.facts() == {"driver": "NVIDIA 580.00", "uuid": "GPU-0000-0"}


def test_a_sensor_that_a_card_lacks_is_none_and_not_zero(nvml):
    lacking = ("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetMigMode")
    nvml(errors=dict.fromkeys(lacking, NVMLError(3, "Not Supported")))
    assert open_meter("nvidia").energy() is None


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (
            {"errors": {"nvmlInit": NVMLError(12, "Library Not Found")}},
            MeterError,
            "cannot be used here .*nvidia-smi must work",
        ),
        ({"errors": {"nvmlDeviceGetPowerUsage": NVMLError(4, "Insufficient Permissions")}}, MeterError, "refuses to read.*device's rights"),
        (
            {"errors": {"nvmlDeviceGetPowerUsage": NVMLError(15, "GPU is lost")}},
            MeterError,
            "nvmlDeviceGetPowerUsage: GPU is lost.*nvidia-smi",
        ),
        ({"mig": 1}, MeterError, "cut into MIG instances.*does not change the mode"),
        ({"names": ()}, MeterError, "lists no device"),
        ({"names": ("NVIDIA A100", "NVIDIA H200")}, InvalidSetting, "several devices .0: NVIDIA A100, 1: NVIDIA H200.*--device"),
    ],
)
def test_what_cannot_be_measured_is_said(nvml, given, error, text):
    nvml(**given)
    with pytest.raises(error, match=text):
        open_meter("nvidia").power()


def test_one_of_several_cards_is_chosen_by_number(nvml):
    nvml(names=("NVIDIA A100", "NVIDIA H200"))
    assert open_meter("nvidia", 1).name() == "NVIDIA H200"
    with pytest.raises(InvalidSetting, match="device 2: expected one of 0: NVIDIA A100, 1: NVIDIA H200"):
        open_meter("nvidia", 2)
    with pytest.raises(InvalidSetting, match="several devices"):
        open_meter()  # not passed over for another vendor's


def test_a_busy_card_is_refused_and_the_process_named(nvml):
    nvml(card=Card(pids=[4242]))
    with pytest.raises(MeterError, match=r"NVIDIA H200 is busy: process 4242\. .*choose another one with --device"):
        require_free(open_meter("nvidia"))


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MissingDependency, match=r"pip install 'joules-estimator\[measure\]'"):
        open_meter("nvidia")


def test_a_machine_without_any_meter_says_what_was_tried(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    monkeypatch.setattr("estimator.measurement.meters.rapl.RaplMeter.__init__.__defaults__", (None, PACKAGE))
    with pytest.raises(MeterError, match="no power meter found\n  nvidia: .*\n  amd: .*\n  rapl: no processor package"):
        open_meter()


def test_apple_and_unknown_meters_are_refused():
    with pytest.raises(MeterError, match="Apple silicon is not supported"):
        open_meter("apple")
    with pytest.raises(UnknownName, match="unknown meter 'nvidea'. Nearest: nvidia"):
        open_meter("nvidea")


def test_no_code_names_a_call_that_would_change_a_card():
    changing = re.compile(r"nvml(Device|System|Unit)(Set|Reset|Clear|Create|Modify)|amdsmi_(set|reset|clean)|write_text|nvidia-smi -")
    texts = {path: path.read_text(encoding="utf-8") for path in (PACKAGE / "measurement").rglob("*.py")}
    assert len(texts) > 10
    assert not [path for path, text in texts.items() if changing.search(text)]


def test_the_fake_notices_a_call_that_would_change_a_card():
    with pytest.raises(AssertionError, match="nvmlDeviceSetPowerManagementLimit would change the card"):
        FakeNvml().nvmlDeviceSetPowerManagementLimit(0, 300000)


def test_the_vendors_library_has_every_name_that_the_meter_asks_for():
    library = pytest.importorskip("pynvml")
    names = re.findall(r"\bnvml\.(\w+)", (PACKAGE / "measurement/meters/nvidia.py").read_text(encoding="utf-8"))
    assert len(set(names)) > 15
    assert [name for name in names if not hasattr(library, name)] == []


class AmdSmiException(Exception):
    pass


def amdsmi(**changes):
    def not_told(*arguments):
        raise AmdSmiException("not supported")

    answers = {
        "amdsmi_init": lambda: None, "amdsmi_shut_down": lambda: None, "AmdSmiException": AmdSmiException,
        "amdsmi_get_processor_handles": lambda: ["gpu"],
        "amdsmi_get_gpu_asic_info": lambda gpu: {"market_name": "AMD Instinct MI300X"},
        "amdsmi_get_energy_count": lambda gpu: {"energy_accumulator": 2_000_000, "counter_resolution": 15.3},
        "amdsmi_get_power_info": lambda gpu: {"current_socket_power": "N/A", "average_socket_power": 140},
        "amdsmi_get_clock_info": lambda gpu, kind: {"clk": 2100 if kind == "gfx" else 1300},
        "amdsmi_get_temp_metric": lambda gpu, place, now: 41,
        "amdsmi_get_power_cap_info": lambda gpu: {"power_cap": 750_000_000},
        "amdsmi_get_gpu_driver_info": lambda gpu: {"driver_version": "6.10"},
        "amdsmi_get_gpu_device_uuid": lambda gpu: "74ff",
        "amdsmi_get_gpu_process_list": not_told,
        "AmdSmiClkType": SimpleNamespace(GFX="gfx", MEM="mem"),
        "AmdSmiTemperatureType": SimpleNamespace(HOTSPOT="hotspot"), "AmdSmiTemperatureMetric": SimpleNamespace(CURRENT="current"),
    }  # fmt: skip
    return SimpleNamespace(**answers | changes)


def test_amdsmi_readings_arrive_in_si_units(monkeypatch):
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi())
    meter = open_meter("amd")
    assert isinstance(meter, Meter)
    assert meter.energy() == approx(2e6 * 15.3e-6, rel=1e-9, abs=0)  # counts of 15.3 µJ
    assert meter.power() == 140  # the mean, because the part does not tell the present power
    assert meter.clocks() == (2100e6, 1300e6)
    assert meter.temperature() == approx(273.15 + 41, rel=1e-9, abs=0)
    assert meter.limit() == 750.0  # µW
    assert meter.strangers() == []
    meter.close()


def test_an_amd_accumulator_of_all_ones_is_no_reading(monkeypatch):
    missing = {"energy_accumulator": 2**64 - 1, "counter_resolution": 15.3}
    monkeypatch.setitem(sys.modules, "amdsmi", amdsmi(amdsmi_get_energy_count=lambda gpu: missing))
    assert open_meter("amd").energy() is None


def powercap(folder, **counts):
    for index, (name, count) in enumerate(counts.items()):
        zone = folder / f"intel-rapl:{index}"
        zone.mkdir()
        cells = {"name": name, "energy_uj": count, "max_energy_range_uj": 1000, "constraint_0_power_limit_uw": 270_000_000}
        for cell, value in cells.items():
            (zone / cell).write_text(f"{value}\n")


def test_processor_packages_add_up_and_turns_of_the_counter_are_taken_off(tmp_path):
    powercap(tmp_path, **{"package-0": 900, "package-1": 50, "psys": 5000})
    meter = RaplMeter(root=tmp_path)
    assert isinstance(meter, Meter)
    before = meter.energy()
    assert before == approx(950e-6, rel=1e-9, abs=0)  # µJ; psys is the whole machine and not counted on top
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("100\n")  # 200 µJ later, past its range of 1000
    assert meter.energy() - before == approx(200e-6, rel=1e-9, abs=0)
    assert meter.limit() == 540.0
    assert meter.power() is None


def test_a_counter_that_only_root_may_read_says_so(tmp_path, monkeypatch):
    powercap(tmp_path, **{"package-0": 900})

    def refuse(path, **_):
        raise PermissionError(path)

    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    with pytest.raises(MeterError, match="may not be read: since CVE-2020-8694 only root may read it"):
        RaplMeter(root=tmp_path)
