"""Compiled programs make room for each other before the process runs out of memory maps."""

from __future__ import annotations

import numpy as np
import pytest

from hier.kernel.programs import capacity as room
from hier.kernel.programs.compiled import Program
from hier.kernel.programs.precision import float64


@pytest.fixture
def alone(monkeypatch):
    """A list of programs of the test's own."""
    monkeypatch.setattr(room, "_recent", type(room._recent)())


@float64
def called(program, size):
    (found,) = program(np.arange(float(size)))
    return np.asarray(found)


@pytest.mark.usefixtures("alone")
def test_the_least_recently_used_programs_go_where_room_is_narrow(monkeypatch):
    monkeypatch.setattr(room, "is_narrow", lambda: False)
    program = Program("doubled", (), lambda x: (2.0 * x,))
    for size in (1, 2, 3):
        called(program, size)
    called(program, 1)  # so that the one for two numbers is the oldest
    assert len(program._compiled) == 3
    monkeypatch.setattr(room, "is_narrow", lambda: True)
    called(program, 4)
    kept = {signature[2][0] for signature in program._compiled}
    assert kept == {(1,), (4,)}
    np.testing.assert_array_equal(called(program, 2), [0.0, 2.0])


def test_room_is_narrow_beyond_a_share_of_the_limit(monkeypatch, tmp_path):
    limit, own = tmp_path / "max_map_count", tmp_path / "maps"
    limit.write_text("100\n")
    own.write_text("map\n" * 59)
    monkeypatch.setattr(room, "MOST", limit)
    monkeypatch.setattr(room, "OWN", own)
    assert not room.is_narrow()
    own.write_text("map\n" * 61)
    assert room.is_narrow()
    limit.unlink()
    assert not room.is_narrow()
