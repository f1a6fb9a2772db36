"""The installed package is whole: every module and data file of a checkout is in the wheel, none lost to an ignore rule."""

import os
import subprocess
import sys
import zipfile

import pytest

from tests.lint.source import PACKAGE, ROOT

FILES = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
PROFILES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hardware_profiles").rglob("*.toml")}


def run(*command: str, cwd, **environment: str) -> str:
    done = subprocess.run(command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The files of a freshly built wheel, unpacked away from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_module_profile_and_data_file(installed):
    there = {path.relative_to(installed).as_posix() for path in installed.rglob("*")}
    assert PROFILES and {f"estimator/{name}" for name in PROFILES} <= there
    assert there >= FILES


def test_the_installed_package_reads_the_same_catalogue(installed):
    program = "import estimator; print(estimator.__file__); print(*estimator.list_profiles()); print(*estimator.list_models())"
    there = run(sys.executable, "-c", program, cwd=installed.parent, PYTHONPATH=str(installed)).splitlines()
    here = run(sys.executable, "-c", program, cwd=ROOT).splitlines()
    assert there[0].startswith(str(installed)) and not here[0].startswith(str(installed))
    assert there[1:] == here[1:] and all(here[1:])
