"""`import estimator` is cheap, and a library is loaded only behind the door that needs it."""

import subprocess
import sys

from tests.lint.source import ROOT

HEAVY = {"torch", "numpy", "sympy", "pydantic", "transformers", "fvcore", "tabulate", "scipy", "matplotlib", "pandas", "pynvml", "amdsmi"}


def loaded_by(program: str) -> set[str]:
    """Which of the heavy libraries a fresh interpreter holds after running `program`."""
    probe = f"{program}\nimport sys\nprint('loaded:', *({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_importing_the_package_and_its_errors_loads_no_library():
    assert loaded_by("import estimator; estimator.EstimatorError; estimator.__all__; dir(estimator)") == set()


def test_the_probe_notices_a_library():
    assert "numpy" in loaded_by("import estimator, numpy")


def test_reading_a_profile_needs_neither_torch_nor_sympy():
    assert loaded_by("import estimator; estimator.load_profile('H100')") & {"torch", "sympy", "transformers"} == set()


def test_an_estimate_by_bundled_name_needs_neither_torch_nor_sympy():
    program = "from estimator import estimate; assert estimate('llama-3.1-8b', hw='H100').energy > 0"
    assert loaded_by(program) & {"torch", "sympy", "transformers", "scipy", "matplotlib"} == set()


def test_measuring_loads_no_vendors_library_and_no_torch_before_it_begins():
    program = "import estimator; estimator.measure; import estimator.cli.measure"
    assert loaded_by(program) & {"torch", "pynvml", "amdsmi", "sympy", "transformers"} == set()
