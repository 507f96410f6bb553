"""Executables of XLA, loaded from hier's own files or compiled and put there: the next process neither traces nor
compiles.

Whoever may write to the folder of these files may have hier run anything, as with any program that is installed.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import pickle
import secrets
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hier.kernel.programs import cache
from hier.kernel.programs.operations import OWN
from hier.kernel.programs.waiting import compiling

if TYPE_CHECKING:
    import jax

TRACED_BY = ("jax", "jaxlib", "numpyro", "numpy")
COMPRESSION = 1  # to a fifth, in milliseconds; more takes longer than it saves in reading
COUNT = 4  # bytes of a number
CHOICES = ("jax_disable_most_optimizations", "jax_optimization_level", "jax_exec_time_optimization_effort")


def load(name: str, key: str | None, n_arguments: int, device: Any) -> jax.stages.Compiled | None:
    """A program that is kept; `key` says all that its trace depends on but the code, None where that cannot be said,
    and then nothing is kept.
    """
    device = _device(device)
    whole = _whole(key, device)
    return None if whole is None else _loaded(cache.read(name, whole), n_arguments, device)


def compile_and_keep(
    name: str, key: str | None, function: Callable[..., tuple[Any, ...]], leaves: Sequence[Any], device: Any
) -> jax.stages.Compiled:
    """A function of arrays as a program for arrays like `leaves`; `key` as for `load`."""
    import jax

    # A name that no other program has: out of JAX's own cache, which the user may have turned on, an executable cannot
    # be written again, since it would lack functions when it is next read.
    function.__name__ = f"{OWN}{name}_{secrets.token_hex(4)}"
    with compiling:
        compiled = jax.jit(function).lower(*leaves).compile()
    whole = _whole(key, _device(device))
    content = None if whole is None else _in_bytes(compiled)
    if whole is not None and content is not None:
        cache.write(name, whole, content)
    return compiled


def _whole(key: str | None, device: Any) -> str | None:
    """A key with the code and the device; None where nothing is kept."""
    return None if key is None or cache.bound() == 0 else f"{key}\n{_code()}\n{_runs_on(device)}"


def _in_bytes(compiled: jax.stages.Compiled) -> bytes | None:
    """An executable, the number of its results first; None where JAX cannot write it."""
    from jax.experimental import serialize_executable

    try:
        content, _, out = serialize_executable.serialize(compiled)
    except (NotImplementedError, ValueError, TypeError, RuntimeError, pickle.PicklingError):
        return None
    return out.num_leaves.to_bytes(COUNT, "big") + zlib.compress(content, COMPRESSION)


def _loaded(content: bytes | None, n_arguments: int, device: Any) -> jax.stages.Compiled | None:
    """What `_in_bytes` wrote; None where there is nothing that JAX can load."""
    import jax
    from jax.experimental import serialize_executable

    if content is None:
        return None
    arguments = jax.tree.structure(((0,) * n_arguments, {}))
    results = jax.tree.structure((0,) * int.from_bytes(content[:COUNT], "big"))
    try:
        _load_lapack()
        return serialize_executable.deserialize_and_load(
            zlib.decompress(content[COUNT:]), arguments, results, device.client, [device]
        )
    except Exception:  # whatever the reason, it is compiled anew and written over
        return None


@functools.cache
def _load_lapack() -> None:
    """Load the library that executables call, as JAX does only when it lowers a program that needs it: without it such
    an executable ends the process.
    """
    import jax
    from jax._src.lax import linalg

    if hasattr(linalg, "initialize_lapack"):
        linalg.initialize_lapack()
    else:
        jax.jit(linalg.cholesky).lower(jax.ShapeDtypeStruct((2, 2), float))


def _device(device: Any) -> Any:
    """A default device, which may be a device, the name of a kind, or None."""
    import jax

    if device is None or isinstance(device, str):
        return jax.local_devices(backend=device)[0]
    return device


@functools.cache
def _code() -> str:
    """A digest of the package's source, and the versions of what traces it."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[2].rglob("*.py")):
        digest.update(path.read_bytes())
    versions = [f"{name} {importlib.metadata.version(name)}" for name in TRACED_BY]
    return " ".join([digest.hexdigest(), *versions, f"Python {sys.version_info[0]}.{sys.version_info[1]}"])


def _runs_on(device: Any) -> str:
    """Where an executable runs, and the user's choices for XLA."""
    import jax

    where = (device.platform, device.device_kind, device.id, device.client.platform_version)
    choices = [getattr(jax.config, name, None) for name in CHOICES]
    return repr((where, os.environ.get("XLA_FLAGS", ""), choices))
