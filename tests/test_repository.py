"""The small files of the repository: what the lock file may hold, which versions are kept out, what is packaged."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import hier

ROOT = Path(__file__).resolve().parents[1]
LOCK_LINE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][0-9a-z.+!]*( ; .+)?")
LEADS_AWAY = re.compile(r"://|--|@|#")  # an address, an option, a direct reference, a comment


def is_lock_line(line: str) -> bool:
    """Whether a line is a name, a version and at most a marker, and nothing that leads to a registry."""
    return bool(LOCK_LINE.fullmatch(line)) and not LEADS_AWAY.search(line)


def lock_lines() -> list[str]:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(project_table: dict) -> list[Requirement]:
    optional = project_table["optional-dependencies"].values()
    return [Requirement(line) for group in (project_table["dependencies"], *optional) for line in group]


def test_the_lock_file_holds_names_versions_and_markers_only() -> None:
    assert lock_lines()
    assert [line for line in lock_lines() if not is_lock_line(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "--pre",
        "numpy @ https://packages.example/numpy.whl",
        "numpy==2.0 ; python_version < '3.13' --hash=sha256:0",
        "numpy==2.0 ; python_version < '3.13'  # from https://packages.example",
        "numpy==2.0  # via jax",
        "numpy>=2.0",
        "-e .",
        "./wheels/numpy.whl",
        "",
    ],
)
def test_any_other_line_is_seen(line: str) -> None:
    assert not is_lock_line(line)


def test_the_lock_file_satisfies_the_project() -> None:
    locked = {each.name: each for each in map(Requirement, lock_lines())}
    table = project()["project"]
    wanted = [*table["dependencies"], *table["optional-dependencies"]["dev"]]
    for requirement in map(Requirement, wanted):
        (pin,) = locked[requirement.name.lower()].specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} is locked as {pin}"


@pytest.mark.parametrize("bad", ["0.10.2", "0.11.0"])
def test_jaxlib_versions_with_slow_gpu_scatter_are_kept_out(bad: str) -> None:
    ours = [each for each in requirements(project()["project"]) if each.name in ("jax", "jaxlib")]
    assert {each.name for each in ours} == {"jax", "jaxlib"}
    for requirement in ours:
        assert not requirement.specifier.contains(bad), str(requirement)
        assert requirement.specifier.contains("0.11.1"), str(requirement)


def test_the_installed_jaxlib_is_none_of_them() -> None:
    assert Version(metadata.version("jaxlib")) >= Version("0.11.1")


def test_the_installed_package_is_this_version() -> None:
    assert metadata.version("hier") == hier.__version__
    assert f"## {hier.__version__}" in (ROOT / "NEWS.md").read_text(encoding="utf-8")


def test_data_and_type_marker_are_packaged() -> None:
    package = resources.files("hier")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("datasets", "pigs.csv").is_file()
    assert package.joinpath("datasets", "sim757.csv").is_file()


def test_contributing_fits_one_screen() -> None:
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120
