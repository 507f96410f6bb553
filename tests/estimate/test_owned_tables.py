"""Tables are the user's own: what is changed in one does not change the next answer."""

from __future__ import annotations

import pickle

import hier

SERIES = ("fixef", "fitted", "residuals")
TABLES = ("vcov", "coefficients", "varcorr")
BY_GROUP = ("ranef", "ranef_se", "coef")


def test_a_changed_table_changes_nothing_else(pigs_reml) -> None:
    before = pigs_reml.summary()
    for name in (*SERIES, *TABLES):
        table = getattr(pigs_reml, name)
        table.iloc[0] = 99.0
        assert not getattr(pigs_reml, name).equals(table), name
    for name in BY_GROUP:
        tables = getattr(pigs_reml, name)
        tables["id"].iloc[0] = 99.0
        assert not getattr(pigs_reml, name)["id"].equals(tables["id"]), name
        tables.clear()
        assert list(getattr(pigs_reml, name)) == ["id"]
    assert pigs_reml.summary() == before


def test_a_result_with_tables_is_pickled(pigs_reml) -> None:
    assert pickle.loads(pickle.dumps(pigs_reml)).summary() == pigs_reml.summary()


def test_pictures_are_found_without_another_import() -> None:
    assert callable(hier.plots.plot_shrinkage)
