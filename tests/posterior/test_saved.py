"""A saved posterior comes back as it was, or is said to be damaged: never draws that were not those."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import hier
from hier.posterior import Posterior
from tests.posterior.made_up import group, made_up


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    return made_up([group("g", ["u", "v"]), group("h", [3, 5, 7])])


@pytest.fixture
def saved(posterior: Posterior, tmp_path: Path) -> Path:
    return posterior.save(tmp_path / "p.nc")


def same(one: Posterior, other: Posterior) -> bool:
    return (
        all(np.array_equal(one.draws[name], other.draws[name]) for name in one.draws)
        and all(np.array_equal(one.stats[name], other.stats[name]) for name in one.stats)
        and all(
            a.levels.equals(b.levels) and (a.codes == b.codes).all()
            for a, b in zip(one.groups, other.groups, strict=True)
        )
        and np.array_equal(one.observed, other.observed)
        and (one.settings, one.coef_names, one.formula) == (other.settings, other.coef_names, other.formula)
    )


def edited_by_xarray(path: Path, change) -> None:
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        parts = {name: node.to_dataset() for name, node in tree.load().children.items()}
        attrs = dict(tree.attrs)
    tree = xr.DataTree.from_dict(change(parts))
    tree.attrs = attrs
    tree.to_netcdf(path, engine="h5netcdf")


def with_h5py(path: Path, change) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def set_one(file: h5py.File, name: str, at, value) -> None:
    file[name][at] = value


DAMAGES = {
    "a draw": (lambda p: with_h5py(p, lambda f: set_one(f, "posterior/beta", (1, 3, 0), 0.25)), "posterior/beta"),
    "a level": (lambda p: with_h5py(p, lambda f: set_one(f, "posterior/g", 0, "w")), "posterior/g"),
    "a number as level": (lambda p: with_h5py(p, lambda f: set_one(f, "posterior/h", 0, 4)), "posterior/h"),
    "the response": (lambda p: with_h5py(p, lambda f: set_one(f, "observed_data/y", 2, 99.0)), "observed_data/y"),
    "codes": (lambda p: with_h5py(p, lambda f: set_one(f, "constant_data/h_codes", 0, 2)), "constant_data/h_codes"),
    "a divergence": (
        lambda p: with_h5py(p, lambda f: set_one(f, "sample_stats/diverging", (0, 0), True)),
        "sample_stats/diverging",
    ),
    "the seed": (lambda p: with_h5py(p, lambda f: f["posterior"].attrs.modify("seed", 7)), r"posterior \(attributes\)"),
    "a variable that is gone": (
        lambda p: with_h5py(p, lambda f: f.__delitem__("posterior/sigma")),
        "sigma` is miss",
    ),
    "a group that is gone": (lambda p: with_h5py(p, lambda f: f.__delitem__("sample_stats")), "sample_stats.* missing"),
    "its checksums": (
        lambda p: with_h5py(p, lambda f: f.attrs.modify("hier_checksums", '{"posterior/beta": 3}')),
        "its structure",
    ),
    "thinned draws": (
        lambda p: edited_by_xarray(
            p, lambda parts: {n: d.isel(draw=slice(None, None, 2)) if "draw" in d.dims else d for n, d in parts.items()}
        ),
        r"2 x 5 x 2 numbers \(f8\), where 2 x 10 x 2 numbers|2 x 5",
    ),
    "one chain of two": (
        lambda p: edited_by_xarray(
            p, lambda parts: {n: d.isel(chain=[0]) if "chain" in d.dims else d for n, d in parts.items()}
        ),
        "1 x 10",
    ),
    "shifted draws": (
        lambda p: edited_by_xarray(p, lambda parts: parts | {"posterior": parts["posterior"] + 1e-9}),
        "does not hold what was saved|is missing",
    ),
    "single precision": (
        lambda p: edited_by_xarray(p, lambda parts: parts | {"posterior": parts["posterior"].astype("float32")}),
        "f4",
    ),
    "half of it": (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "truncated"),
    "the last byte": (lambda p: p.write_bytes(p.read_bytes()[:-1]), "truncated"),
    "all of it": (lambda p: p.write_bytes(b""), "its structure"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_file_is_said_to_be_and_where(saved: Path, what: str) -> None:
    damage, where = DAMAGES[what]
    damage(saved)
    with pytest.raises(hier.JobError, match=r"p\.nc is damaged") as refused:
        hier.load_posterior(saved)
    assert re.search(where, str(refused.value))


def test_no_flipped_bit_gives_other_draws(saved: Path, posterior: Posterior, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    places = np.random.default_rng(5).choice(len(whole), 100, replace=False)
    found = {"damaged": 0, "same": 0}
    for at in places:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (at % 8)
        saved.write_bytes(flipped)
        try:
            again = hier.load_posterior(saved)
        except hier.JobError:
            found["damaged"] += 1
        else:  # in bytes that HDF5 does not use
            assert same(posterior, again)
            found["same"] += 1
    assert found["damaged"] > 80


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"CDF\x01 a netCDF 3 file", "not netCDF 4"),
        (b"chain,draw\n0,0\n", "not netCDF 4"),
        (b"PK\x03\x04", "not netCDF 4"),
    ],
)
def test_a_file_of_another_kind_is_no_posterior(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "p.nc").write_bytes(content)
    with pytest.raises(hier.JobError, match=rf"is not a posterior that hier wrote(.|\n)*{reason}"):
        hier.load_posterior(tmp_path / "p.nc")


def test_a_netcdf_file_of_another_program_is_no_posterior(tmp_path: Path) -> None:
    other = xr.DataTree.from_dict({"posterior": xr.Dataset({"beta": (("chain", "draw"), np.ones((2, 3)))})})
    other.to_netcdf(tmp_path / "p.nc", engine="h5netcdf")
    with pytest.raises(hier.JobError, match="another program"):
        hier.load_posterior(tmp_path / "p.nc")


def test_groups_that_a_user_adds_are_left_alone(saved: Path, posterior: Posterior) -> None:
    more = xr.Dataset({"y": (("chain", "draw", "obs"), np.zeros((2, 10, 6)))})
    more.to_netcdf(saved, group="log_likelihood", mode="a", engine="h5netcdf")
    assert same(posterior, hier.load_posterior(saved))


def test_a_copy_that_xarray_writes_is_the_same_posterior(saved: Path, posterior: Posterior) -> None:
    edited_by_xarray(saved, lambda parts: parts)
    assert same(posterior, hier.load_posterior(saved))


def test_every_array_of_the_file_has_a_checksum(saved: Path) -> None:
    with h5py.File(saved) as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        noted = json.loads(file.attrs["hier_checksums"])
    assert set(names) <= set(noted)
    assert len(names) > 15


def test_a_users_part_file_is_not_touched(posterior: Posterior, tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("mine", encoding="utf-8")
    (tmp_path / "p.nc.part").symlink_to("foreign")
    (tmp_path / "q.nc.part").write_text("mine too", encoding="utf-8")
    posterior.save(tmp_path / "p.nc")
    posterior.save(tmp_path / "q.nc")
    assert (tmp_path / "foreign").read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "q.nc.part").read_text(encoding="utf-8") == "mine too"


@pytest.mark.parametrize(
    ("path", "reason"),
    [("folder", "is a folder"), ("file/p.nc", "a file, not a folder"), ("x" * 5000, "too long"), ("p\0.nc", "NUL")],
)
def test_saving_and_loading_refuse_in_a_sentence(posterior, tmp_path, monkeypatch, path, reason) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for call in (posterior.save, hier.load_posterior):
        with pytest.raises(hier.JobError, match=reason):
            call(path)


FULL = """
import resource, signal, sys
from tests.posterior.made_up import group, made_up
import hier
posterior = made_up([group("g", ["u", "v"])])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    posterior.save(sys.argv[1])
except hier.JobError as error:
    print(error)
"""


def test_a_full_disk_is_a_sentence_and_the_process_goes_on(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "p.nc")], capture_output=True, text=True, timeout=120, cwd=root
    )
    assert (done.returncode, done.stderr) == (0, "")  # a file that HDF5 writes itself ends in a segmentation fault
    assert "the posterior cannot be written" in done.stdout
    assert "make room there" in done.stdout
    assert list(tmp_path.iterdir()) == []
