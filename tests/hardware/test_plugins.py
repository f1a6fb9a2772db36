"""Profiles that another installed package brings along under the entry point group `estimator.profiles`."""

import sys
from importlib.metadata import EntryPoint

import pytest

from estimator.errors import ProfileError, UnknownName
from estimator.hardware import catalogue, plugins
from estimator.hardware.catalogue import load_profile

DEVICE = 'inherits = "acme-family"\nname = "Acme One"\naliases = ["ACME-1", "H100"]\nyear = 2030\npower.limit = "500 W"'
FAMILY = 'inherits = "h100-sxm"\nvendor = "Acme"\nsource = "Acme datasheet"\nstatus = "datasheet"\nclock.boost = "1.5 GHz"'


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Announces packages by their entry points, and forgets them afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    scans = []

    def announce(*entries: EntryPoint) -> list:
        monkeypatch.setattr(plugins, "entry_points", lambda group: scans.append(group) or list(entries))
        forget()
        return scans

    yield announce
    forget()


def forget() -> None:
    plugins.plugin_folders.cache_clear()
    catalogue._load_named.cache_clear()


@pytest.fixture
def acme(tmp_path, install):
    """A package with one device and one family; importing it fails, as reading profiles must not import it."""
    for folder, name, text in (("device", "acme-one", DEVICE), ("family", "acme-family", FAMILY)):
        place = tmp_path / "acme_chips" / "profiles" / folder
        place.mkdir(parents=True)
        (place / f"{name}.toml").write_text(text, encoding="utf-8")
    (tmp_path / "acme_chips" / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    return install(EntryPoint("acme", "acme_chips.profiles", plugins.GROUP))


def test_a_part_of_another_package_is_found_by_name_and_alias(acme):
    part = load_profile("acme-one")
    assert (part.vendor, part.power.limit, part.clock.boost.source) == ("Acme", 500, "Acme datasheet")
    assert part.memory.bandwidth == load_profile("h100-sxm").memory.bandwidth  # inherited from the catalogue
    assert load_profile("ACME-1") == part
    assert "acme_chips" not in sys.modules


def test_other_packages_are_scanned_only_after_a_miss(acme):
    load_profile("H100")
    assert acme == []
    load_profile("acme-one")
    assert acme == ["estimator.profiles"]


def test_the_catalogue_wins_where_both_know_a_name(acme):
    assert load_profile("H100").vendor == "NVIDIA"


def test_a_file_may_inherit_a_family_of_another_package(acme):
    assert load_profile({"inherits": "acme-family", "name": "mine"}).vendor == "Acme"


def test_the_parts_of_other_packages_are_listed_apart(acme):
    assert catalogue.plugin_profiles() == ["acme-one"]
    assert "acme-one" not in catalogue.list_profiles()


def test_an_unknown_name_offers_the_parts_of_other_packages_too(acme):
    with pytest.raises(UnknownName, match="unknown hardware 'acme-won'. Nearest: acme-one"):
        load_profile("acme-won")


@pytest.mark.parametrize("module", ["nowhere_at_all", "json"])
def test_an_announcement_that_leads_nowhere_is_named(install, module):
    install(EntryPoint("broken", module, plugins.GROUP))
    with pytest.raises(ProfileError, match=f"entry point 'broken' of group 'estimator.profiles' names '{module}', and no folder device/"):
        load_profile("acme-one")


def test_without_other_packages_nothing_changes():
    assert plugins.plugin_folders() == ()
