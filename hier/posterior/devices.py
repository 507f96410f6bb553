"""Where a sampling job runs: CPU or an NVIDIA GPU."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import jax

from hier.errors import FitError
from hier.kernel.algebra.crossproducts import CrossProducts

WORTH_A_GPU = (
    20_000_000  # multiply-adds a likelihood evaluation; below it, launching kernels costs more than the arithmetic
)


class HasProducts(Protocol):
    """The arrays of a model with its cross-products."""

    @property
    def cross(self) -> CrossProducts: ...


def use_device(device: str, problem: HasProducts) -> contextlib.AbstractContextManager[Any]:
    """Run what is inside on `device`: "cpu", "gpu", or "auto", which takes a GPU only for a problem large enough to
    gain.

    Raises FitError where a GPU is asked for and JAX sees none.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise FitError(f"there is no device `{device}`", expected='"auto", "cpu" or "gpu"')
    return jax.default_device(_choose(device, work(problem)))


def work(problem: HasProducts) -> int:
    """Multiply-adds of one elimination: levels x columns x columns of the deviations x columns of all, and for crossed
    factors the cube of the dense part.
    """
    cross = problem.cross
    total = 0
    for level in cross.merged or cross.levels:
        q, columns, size = level.right.shape
        total += size * q * q * (q + columns)
    for dense in cross.dense:
        r, (q, _, size) = len(dense.rr), cross.levels[0].zz.shape
        total += r**3 + (size * q * r**2 if dense.coupling.is_dense else len(dense.coupling.pairs.group) * q * q)
    return total


def _choose(device: str, size: int) -> Any:
    if device == "gpu":
        gpus = _gpus()
        if not gpus:
            raise FitError(
                "there is no GPU that JAX can use",
                found=f"devices: {', '.join(str(d) for d in jax.devices())}",
                expected="an NVIDIA GPU with its driver, and JAX built for CUDA",
                hint='install the extra `hier[cuda]`, or use device="cpu"',
            )
        return gpus[0]
    if device == "auto" and size >= WORTH_A_GPU and _gpus():
        return _gpus()[0]
    return jax.local_devices(backend="cpu")[0]


def _gpus() -> list[Any]:
    try:
        return jax.local_devices(backend="gpu")
    except RuntimeError:  # JAX's way of saying that there is no such backend
        return []
