#!/usr/bin/env bash
# jax 0.12.0.1: an index that is out of range reads the last element, so that f depends on it, and forward mode
# (jvp, jacfwd) says so; reverse mode (grad, jacrev, hessian) leaves it out: the adjoint of a gather is a scatter, and a
# scatter drops what is out of range. No error and no warning in either mode.
# A model whose codes of groups are filled up with a number beyond the last group is fitted with a gradient that is not
# that of its density; checks by jvp, or by finite differences on the padded rows alone, decide which half is seen.
# Seen 2026-11-28, f(x) = x[0] + x[7] of three numbers:
#   finite difference in x[2]: 1.0
#   forward mode: 1.0
#   reverse mode: 0.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check jax==0.12.0.1 jaxlib==0.12.0.1
JAX_PLATFORMS=cpu JAX_ENABLE_X64=1 "$folder/env/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp

x = jnp.array([1.0, 2.0, 3.0])
codes = jnp.array([0, 7])


def f(x):
    return x[codes].sum()


difference = (f(x.at[2].add(1e-3)) - f(x.at[2].add(-1e-3))) / 2e-3
forward = jax.jacfwd(f)(x)[2]
reverse = jax.grad(f)(x)[2]
print(f"jax {jax.__version__}: finite difference {difference:.3f}, forward mode {forward}, reverse mode {reverse}")
assert abs(difference - 1.0) < 1e-9, "an index out of range no longer reads the last element"
assert forward == 1.0, "forward mode has changed"
assert reverse == 0.0, "reverse mode has changed: it may agree with forward mode now"
PYTHON
