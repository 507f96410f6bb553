"""Tables that are too large to keep: simulated from a fixed seed, written to CSV for every program to read."""

from pathlib import Path

import numpy as np
import pandas as pd

SLOPES = "y ~ x + (x | g)"
CROSSED = "y ~ 1 + (1 | user) + (1 | item)"
USERS, ITEMS = 6040, 3706


def slopes(rows: int, groups: int) -> pd.DataFrame:
    """Intercepts and slopes of `groups` groups of uneven sizes, in no order; for the formula SLOPES."""
    rng = np.random.default_rng(1)
    g, x = rng.integers(0, groups, rows), rng.normal(size=rows)
    intercept = rng.normal(size=groups)
    slope = 0.3 * 0.5 * intercept + 0.5 * np.sqrt(1 - 0.3**2) * rng.normal(size=groups)
    return pd.DataFrame({"y": 1.0 + 2.0 * x + intercept[g] + slope[g] * x + rng.normal(size=rows), "x": x, "g": g})


def crossed(rows: int, users: int = USERS, items: int = ITEMS) -> pd.DataFrame:
    """Ratings of the shape of MovieLens-1M, each pair of user and item at most once; for the formula CROSSED.

    Activity and popularity are log-normal with the ratios of mean to median that are published for those data (165 to
    96 ratings a user, 270 to 123 an item).
    """
    rng = np.random.default_rng(1)
    active = rng.lognormal(sigma=np.sqrt(2 * np.log(165 / 96)), size=users)
    popular = rng.lognormal(sigma=np.sqrt(2 * np.log(270 / 123)), size=items)
    pairs = np.empty(0, dtype=np.int64)
    while len(pairs) < rows:
        user = rng.choice(users, rows, p=active / active.sum())
        item = rng.choice(items, rows, p=popular / popular.sum())
        pairs = np.unique(np.concatenate([pairs, user * items + item]))
    user, item = np.divmod(rng.choice(pairs, rows, replace=False), items)
    taste, merit = 0.4 * rng.normal(size=users), 0.6 * rng.normal(size=items)
    y = 3.6 + taste[user] + merit[item] + 0.9 * rng.normal(size=rows)
    return pd.DataFrame({"y": y, "user": user, "item": item})


def written(table: pd.DataFrame, path: Path) -> Path:
    """Write a table to a CSV file."""
    table.to_csv(path, index=False)
    return path
