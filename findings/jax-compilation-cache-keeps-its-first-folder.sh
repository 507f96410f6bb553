#!/usr/bin/env bash
# jax 0.12.0.1: once a program has been compiled with `jax_compilation_cache_dir` set, another folder, or None, is
# accepted and read back from `jax.config`, but programs go on being written to the first folder, until `reset_cache()` of
# jax.experimental.compilation_cache.compilation_cache is called.
# A library that turns the cache on around its own programs and puts the user's setting back leaves the user's programs
# in its own folder.
# Seen 2026-11-28:
#   set to another folder: written to the first 1, to the other 0
#   set to None: written to the first 1
#   after reset_cache() and None: written to the first 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check jax==0.12.0.1 jaxlib==0.12.0.1
JAX_PLATFORMS=cpu "$folder/env/bin/python" - "$folder" <<'PYTHON'
import os
import sys

import jax
import jax.numpy as jnp
from jax.experimental.compilation_cache.compilation_cache import reset_cache

first, other = (os.path.join(sys.argv[1], name) for name in ("first", "other"))
os.mkdir(first)
os.mkdir(other)
x = jnp.ones(3)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def written(function) -> tuple[int, int]:
    """How many programs compiling a function adds to either folder."""
    before = len(os.listdir(first)), len(os.listdir(other))
    jax.jit(function)(x).block_until_ready()
    return len(os.listdir(first)) - before[0], len(os.listdir(other)) - before[1]


jax.config.update("jax_compilation_cache_dir", first)
assert written(lambda x: jnp.sin(x) * 2)[0] > 0
jax.config.update("jax_compilation_cache_dir", other)
assert jax.config.jax_compilation_cache_dir == other
moved = written(lambda x: jnp.cos(x) * 3)
jax.config.update("jax_compilation_cache_dir", None)
unset = written(lambda x: jnp.cos(x) * 4)
reset_cache()
reset = written(lambda x: jnp.cos(x) * 5)
print(f"set to another folder: written to the first {moved[0]}, to the other {moved[1]}")
print(f"set to None: written to the first {unset[0]}")
print(f"after reset_cache() and None: written to the first {reset[0]}")
assert moved == (1, 0) and unset[0] == 1 and reset[0] == 0, "the behaviour has changed"
PYTHON
