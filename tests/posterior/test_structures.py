"""The posterior of models with several covariance structures."""

from __future__ import annotations

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.distributions import biject_to
from numpyro.infer.util import log_density
from scipy.linalg import toeplitz

import hier
from hier.design import Block
from hier.kernel.covariance.unconstrained import unconstrained
from hier.kernel.programs.precision import float64
from hier.model.density import Density
from hier.model.problem import posterior_problem
from tests.estimate.test_structures import MACHINES
from tests.reference import dense


@pytest.fixture(scope="module")
def machines() -> pd.DataFrame:
    return pd.read_csv(MACHINES, dtype={"Worker": str})


@pytest.fixture(scope="module")
def autoregression(machines) -> hier.Model:
    return hier.Model("score ~ Machine + ar1(0 + Machine | Worker)", machines)


SHARED = "ar1(0 + Machine | Worker) + diag(0 + x:Machine | Worker, hom = TRUE) + cs(1 + x | block)"


@pytest.fixture(scope="module")
def shared(machines) -> hier.Model:
    rng = np.random.default_rng(8)
    data = machines.assign(x=rng.normal(size=len(machines)), block=rng.integers(0, 4, size=len(machines)))
    return hier.Model(f"score ~ Machine + {SHARED}", data)


@float64
def test_the_density_that_is_sampled_is_that_of_the_full_program(shared):
    """At any parameters it is the full program's, the deviations and fixed effects integrated out by dense algebra."""
    design, structure, priors = shared.design, shared.structure, shared.priors
    problem = posterior_problem(shared)
    density = Density(shared.terms, 0, with_volume=True)
    program = shared.numpyro_model(noncentred=False)
    means, sds = np.array([[float(prior.loc), float(prior.scale)] for prior in priors.beta.values()]).T
    into = np.eye(3)  # from the coefficients that the priors are of to those of the columns
    into[0, 1:] = -design.X[:, 1:].mean(axis=0)
    rng = np.random.default_rng(1)
    gaps = []
    for _ in range(3):
        x = 0.5 * rng.normal(size=density.size)
        parameters, volume = density.constrain(x, problem)
        (sd, sd_block), (cor, cor_block) = (
            [values[structure.order.index(k)] for k in range(2)] for values in (parameters.sd, parameters.cor)
        )
        sites = {
            "sd_Worker": sd,
            "cor_Worker": np.array([cor[0], cor[0] ** 2, cor[0]]),
            "sd_block": sd_block,
            "cor_block": np.array([cor_block[0]]),
            "sigma": parameters.sigma,
        }
        at = sites | {"beta": into @ means}
        at |= {f"b_{r.group}": np.zeros((r.n_levels, len(r.names))) for r in design.random_effects}
        _, trace = log_density(program, (), {}, at)
        matrix = np.eye(6)
        matrix[:3, :3] = toeplitz(float(cor[0]) ** np.arange(3))
        np.testing.assert_array_equal(sd, np.repeat([sd[0], sd[3]], 3))
        V = float(parameters.sigma) ** 2 * np.eye(design.nobs)
        pairs = [(sd, matrix), (sd_block, np.array([[1.0, cor_block[0]], [cor_block[0], 1.0]]))]
        for r, (own, shape) in zip(design.random_effects, pairs, strict=True):
            Z = dense.full_Z(r.Z, r.codes, r.n_levels)
            V = V + Z @ np.kron(np.eye(r.n_levels), np.outer(own, own) * shape) @ Z.T
        evidence = dense.neg2_log_evidence(design.y, design.X, V, into @ means, into @ np.diag(sds**2) @ into.T)
        prior = sum(float(trace[name]["fn"].log_prob(value)) for name, value in sites.items())
        found = -0.5 * float(density.neg2_log_density(x, problem)) - float(volume)
        gaps.append(found - (prior - 0.5 * evidence))
    # the one leaves out the data's units
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-7)


@float64
def test_map_is_at_the_mode_of_the_density(autoregression):
    model = autoregression
    fit = model.estimate("map")
    assert fit.converged
    problem = posterior_problem(model)
    density = Density(model.terms, 0, with_volume=False)
    sd, cor = fit.varcorr["sdcor"][0], fit.varcorr["sdcor"][3]
    (own,) = model.priors.groups
    transforms = [biject_to(prior.support) for prior in (*own.sd, *own.cor, model.priors.sigma)]
    x = np.asarray(unconstrained([sd, cor, fit.sigma], transforms))
    assert len(x) == density.size == 3
    mode = float(density.neg2_log_density(x, problem))
    for step in np.concatenate([np.eye(3), -np.eye(3)]):
        further = float(density.neg2_log_density(x + 1e-3 * step, problem))
        assert 0.0 < further - mode < 1e-3


@pytest.mark.slow
def test_the_posterior_of_an_autoregression(autoregression, tmp_path):
    model = autoregression
    post = model.sample(draws=500, seed=2, progress=False)
    assert float(post.stats["diverging"].mean()) < 0.01
    cor, sd = post.draws["cor_Worker"], post.draws["sd_Worker"]
    np.testing.assert_allclose(cor[..., 0], cor[..., 2], rtol=1e-9)
    np.testing.assert_allclose(cor[..., 1], cor[..., 0] ** 2, rtol=1e-9)
    np.testing.assert_array_equal(sd, np.broadcast_to(sd[..., :1], sd.shape))
    assert -1.0 < cor[..., 0].min() < 0.0 < cor[..., 0].max() < 1.0
    # the posterior of six workers is wide, and holds the estimates
    fit = model.estimate()
    for draws, estimate in ((sd[..., 0], fit.varcorr["sdcor"][0]), (cor[..., 0], fit.varcorr["sdcor"][3])):
        assert np.quantile(draws, 0.05) < estimate < np.quantile(draws, 0.95)
    post.save(tmp_path / "ar1.nc")
    assert hier.load_posterior(tmp_path / "ar1.nc").groups[0].blocks == (Block(3, "ar1", True),)
    tight = model.with_priors({"cor_Worker": dist.Uniform(0.2, 0.3)}).sample(draws=100, progress=False)
    assert 0.2 < tight.draws["cor_Worker"][..., 0].min() < tight.draws["cor_Worker"][..., 0].max() < 0.3
