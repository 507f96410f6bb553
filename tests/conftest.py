"""Fits that many tests read; each is made once a worker."""

from __future__ import annotations

import os

import pytest

import hier

os.environ["HIER_BACKGROUND"] = "0"  # two workers have no idle cores
PIGS = "weight ~ week + (week | id)"


@pytest.fixture(scope="session")
def pigs():
    return hier.load_dataset("pigs")


@pytest.fixture(scope="session")
def sim757():
    return hier.load_dataset("sim757")


@pytest.fixture(scope="session")
def pigs_model(pigs):
    return hier.Model(PIGS, pigs)


@pytest.fixture(scope="session")
def pigs_reml(pigs_model):
    return pigs_model.estimate()


@pytest.fixture(scope="session")
def pigs_posterior(pigs_model):
    return pigs_model.sample(chains=4, draws=1000, seed=1, progress=False)
