"""Data that tests of estimates share."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

MACHINES = Path(__file__).parents[1] / "oracle" / "data" / "Machines.csv"


@pytest.fixture(scope="module")
def machines() -> pd.DataFrame:
    return pd.read_csv(MACHINES, dtype={"Worker": str})
