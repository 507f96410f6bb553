"""Three comparisons, each estimated and sampled once: the pigs, a small table with hostile names, and one with two
grouping factors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hier
from hier.reporting import write_report

SCRIPT = "<script>alert(1)</script>"
LEVELS = (SCRIPT, "$\\bad{$", "a & \"b\" 'c'", "--><b>bold</b>", "\N{CJK UNIFIED IDEOGRAPH-540D}", "line\nbreak\0")


@pytest.fixture(scope="session")
def pigs() -> hier.Comparison:
    model = hier.Model("weight ~ week + (week | id)", hier.load_dataset("pigs"))
    return hier.compare(model.estimate(), model.sample(chains=2, draws=100, warmup=100, seed=1, progress=False))


@pytest.fixture(scope="session")
def hostile() -> hier.Comparison:
    """Levels and a column whose names are markup; a level too many, a missing value, a weight and an offset."""
    random = np.random.default_rng(5)
    codes = np.repeat(np.arange(len(LEVELS)), 12)
    b = random.normal(size=(len(LEVELS), 2))
    x = random.normal(size=len(codes))
    data = pd.DataFrame({SCRIPT: x, "g": pd.Categorical.from_codes(codes, [*LEVELS, "unused"]), "w": 2.0, "o": x / 3})
    data["y"] = b[codes, 0] + (1 + b[codes, 1]) * x + random.normal(size=len(codes))
    data.loc[3, "y"] = np.nan
    model = hier.Model(f"y ~ `{SCRIPT}` + (`{SCRIPT}` | g)", data, weights="w", offset="o")
    return hier.compare(model.estimate(), model.sample(chains=2, draws=100, warmup=100, seed=1, progress=False))


@pytest.fixture(scope="session")
def crossed() -> hier.Comparison:
    """Seven levels of one factor, whose name is markup, crossed with eleven of another."""
    random = np.random.default_rng(6)
    g, h, x = random.integers(0, 7, 120), random.integers(0, 11, 120), random.normal(size=120)
    y = random.normal(size=7)[g] + random.normal(size=11)[h] + x + random.normal(size=120)
    data = pd.DataFrame({"y": y, "x": x, "<b>g": g, "h": np.array([f"level {k}" for k in range(11)])[h]})
    model = hier.Model("y ~ x + (1 | `<b>g`) + (x | h)", data)
    return hier.compare(model.estimate(), model.sample(chains=2, draws=100, warmup=100, seed=1, progress=False))


@pytest.fixture(scope="session")
def pigs_page(pigs: hier.Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(pigs, tmp_path_factory.mktemp("report") / "pigs.html")


@pytest.fixture(scope="session")
def hostile_page(hostile: hier.Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(hostile, tmp_path_factory.mktemp("report") / "hostile.html")


@pytest.fixture(scope="session")
def crossed_page(crossed: hier.Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(crossed, tmp_path_factory.mktemp("report") / "crossed.html")
