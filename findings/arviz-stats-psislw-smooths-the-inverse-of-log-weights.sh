#!/usr/bin/env bash
# Pareto-smoothed importance sampling in arviz-stats: the array function `psislw` takes log-likelihoods and smooths
# their inverses, exp(-x). Given log importance weights, as the function of that name in ArviZ 0.x takes them, it
# says nothing and returns the shape and the weights of 1 / w: weights with a heavy tail look perfectly well behaved.
#
# Seen with arviz-stats 1.3.0 and arviz 0.22.0: 4,000 log weights whose weights have a Pareto tail of shape 0.9 (no
# variance, and so not to be trusted): psislw(log w) gives k = -0.85, psislw(-log w) gives k = 0.77; arviz.psislw(log w)
# of ArviZ 0.22 gives 0.77.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for name in new old; do python3 -m venv "$folder/$name"; done
"$folder/new/bin/pip" install -q "arviz-stats[xarray]==1.3.0" "numpy<3"
"$folder/old/bin/pip" install -q "arviz==0.22.0"
cat > "$folder/weights.py" <<'PY'
import numpy as np

log_weights = -0.9 * np.log(np.random.default_rng(1).random(4000))  # of weights u^-0.9, whose tail has shape 0.9
PY
cd "$folder"
new/bin/python - <<'PY'
from arviz_stats.base.array import array_stats
from weights import log_weights

as_given, negated = (float(array_stats.psislw(own)[1]) for own in (log_weights, -log_weights))
print(f"arviz-stats: k of psislw(log w) {as_given:.2f}, of psislw(-log w) {negated:.2f}")
assert as_given < -0.5 and negated > 0.7, "psislw of arviz-stats has changed its sign"
PY
old/bin/python -W ignore - <<'PY'
import arviz
from weights import log_weights

k = float(arviz.psislw(log_weights)[1])
print(f"arviz 0.22: k of psislw(log w) {k:.2f}")
assert k > 0.7, "psislw of ArviZ 0.x has changed its sign"
PY
echo "reproduced: the two functions of one name differ in the sign of their argument"
