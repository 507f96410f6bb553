#!/usr/bin/env bash
# numpyro 0.22.0: the support of `ImproperUniform(constraints.real, (), ())` is not `constraints.real`, nor equal to it: it
# is an independent constraint over zero dimensions, and that of a constraint with a bound hides its bounds too.
# Code that looks a prior's support up among the constraints (is it real, where does it end?) takes a flat prior for one
# of an unknown kind; the base constraint has to be asked.
# Seen 2026-11-28:
#   flat: is real False, equal to real False, its base is real True
#   positive: has lower_bound False, its base has True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check numpyro==0.22.0 jax==0.12.0.1 jaxlib==0.12.0.1
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PYTHON'
import numpyro.distributions as dist
from numpyro.distributions import constraints

flat = dist.ImproperUniform(constraints.real, (), ()).support
above = dist.ImproperUniform(constraints.greater_than(2.0), (), ()).support
base = flat.base_constraint
found = (flat is constraints.real, flat == constraints.real, base is constraints.real)
bounds = (hasattr(above, "lower_bound"), hasattr(above.base_constraint, "lower_bound"))
print(f"flat: is real {found[0]}, equal to real {found[1]}, its base is real {found[2]}")
print(f"positive: has lower_bound {bounds[0]}, its base has {bounds[1]}")
assert found == (False, False, True) and bounds == (False, True), "the behaviour has changed"
PYTHON
