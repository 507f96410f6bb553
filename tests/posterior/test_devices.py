"""The same program on CPU and GPU."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import hier
from hier.model.problem import posterior_problem
from hier.posterior.devices import WORTH_A_GPU, use_device, work


def has_gpu() -> bool:
    try:
        return bool(jax.local_devices(backend="gpu"))
    except RuntimeError:
        return False


def test_auto_stays_on_the_cpu_for_a_problem_of_this_size(pigs_model):
    problem = posterior_problem(pigs_model)
    assert work(problem) < WORTH_A_GPU
    with use_device("auto", problem):
        assert jax.numpy.ones(1).devices().pop().platform == "cpu"


@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_clear_error(pigs_model):
    with pytest.raises(hier.FitError, match=r"no GPU that JAX can use[\s\S]*hier\[cuda\]"):
        pigs_model.sample(device="gpu", progress=False)


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="JAX sees no NVIDIA GPU")
def test_gpu_and_cpu_agree(pigs_model, pigs_posterior):
    post = pigs_model.sample(device="gpu", seed=1, progress=False)
    assert post.diagnose().ok
    for name in ("beta", "sd_id", "sigma", "b_id"):
        a, b = pigs_posterior.draws[name], post.draws[name]
        error = np.sqrt((a.var(axis=(0, 1)) + b.var(axis=(0, 1))) / 3000)
        assert (np.abs(a.mean(axis=(0, 1)) - b.mean(axis=(0, 1))) / error).max() < 5, name
