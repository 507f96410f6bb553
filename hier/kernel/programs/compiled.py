"""Compiled programs that the next process starts with: neither traced nor compiled again.

JAX's persistent cache keeps what was compiled, but a process must trace a program before it can look it up, and that
takes longer than most fits. So the traced program is kept beside it, as StableHLO, under a key of everything that it
was traced from.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hier.kernel.programs import capacity
from hier.kernel.programs.precision import cache_folder, kept_programs, own_settings

TRACED_BY = ("jax", "jaxlib", "numpyro", "numpy")
DIGEST = 32  # bytes
AWAKE = 1e-3  # seconds; beside a longer run, what waking costs does not count
COVERED = {"hier", "builtins", "collections", *TRACED_BY}


class Compiled:
    """A compiled function of arrays; `outputs` are the shapes and kinds of its results."""

    def __init__(self, lowered: jax.stages.Lowered) -> None:
        self.outputs: list[Any] = jax.tree.leaves(lowered.out_info)
        self._compiled = lowered.compile()

    def __call__(self, *leaves: Any) -> Sequence[jax.Array]:
        with own_settings:  # they hold for a thread: one of its own enters without them
            return self._compiled(*leaves)


class Program:
    """A function of arrays, compiled once for each structure of its arguments.

    `function(*arguments)` takes trees of arrays and returns a tuple of arrays. `fixed` is what the function was built
    with: with the name, the shapes and the package's own source it must say all that the trace depends on. A call
    has to come from inside `precision.float64`, but what `bind` returns may be called from any thread.
    """

    def __init__(self, name: str, fixed: tuple[Any, ...], function: Callable[..., tuple[jax.Array, ...]]) -> None:
        self._key = (name, fixed)
        self.function = function
        self._compiled: dict[Any, Compiled] = {}
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Sequence[jax.Array]:
        leaves, tree = jax.tree.flatten(arguments)
        return self._bound(leaves, tree)(*leaves)

    def bind(self, *arguments: Any) -> Compiled:
        """The program for arguments like these, of which only shapes and kinds matter: a function of their leaves."""
        return self._bound(*jax.tree.flatten(arguments))

    def _bound(self, leaves: list[Any], tree: Any) -> Compiled:
        device = jax.config.jax_default_device
        signature = (tree, device, *((np.shape(leaf), leaf.dtype) for leaf in leaves))
        found = self._compiled.get(signature)
        if found is not None:
            capacity.used((id(self), signature))
            return found
        with self._lock:
            found = self._compiled.get(signature)
            if found is None:
                with kept_programs:
                    found = self._compile(leaves, tree, device)
                self._compiled[signature] = found
                capacity.added((id(self), signature), lambda: self._compiled.pop(signature, None))
        return found

    def _compile(self, leaves: list[Any], tree: Any, device: Any) -> Compiled:
        def of_leaves(*leaves: Any) -> tuple[jax.Array, ...]:
            return tuple(self.function(*jax.tree.unflatten(tree, leaves)))

        platform = _platform(device)
        jitted = jax.jit(of_leaves)
        path = self._path(leaves, tree, platform)
        if path is not None:
            jitted = _traced(path, jitted, leaves) or jitted
        return Compiled(jitted.lower(*leaves))

    def _path(self, leaves: list[Any], tree: Any, platform: str) -> Path | None:
        """Where the trace is kept; None where it depends on code that `_source` does not cover."""
        if not (_is_covered(tree) and _is_kept(self._key)):
            return None
        shapes = [(np.shape(leaf), str(leaf.dtype)) for leaf in leaves]
        key = repr((self._key, str(tree), shapes, platform)) + _source()
        return _folder() / f"{self._key[0]}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.stablehlo"


def _is_kept(value: Any) -> bool:
    """Whether what a program was built with is known by its name in another process too: a user's own density may
    change without changing its name, and says so by `is_kept`.
    """
    if isinstance(value, tuple):
        return all(map(_is_kept, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return getattr(value, "is_kept", True) and all(map(_is_kept, fields))
    return True


def _is_covered(value: Any) -> bool:
    """Whether every type in a tree's structure belongs to hier or to a library whose version is in the key.

    A prior of the user's own may change from one process to the next without changing its name.
    """
    if isinstance(value, jax.tree_util.PyTreeDef):
        return all(map(_is_covered, (value.node_data(), *value.children())))
    if isinstance(value, tuple | list):
        return all(map(_is_covered, value))
    if isinstance(value, dict):
        return all(map(_is_covered, (*value, *value.values())))
    kind = value if isinstance(value, type) else type(value)
    return kind.__module__.partition(".")[0] in COVERED


def _traced(path: Path, jitted: Any, leaves: list[Any]) -> Any:
    """The function whose trace is kept at `path`, traced and put there if need be; None where JAX cannot keep it."""
    from jax import export

    kept = _read(path)
    if kept is not None:
        return jax.jit(export.deserialize(bytearray(kept)).call)
    try:
        exported = export.export(jitted)(*leaves)
        _write(path, bytes(exported.serialize()))
    except (NotImplementedError, ValueError, OSError):
        # a custom call without a promise of stability, or no place to write to: compiled here, for this process only
        return None
    return jax.jit(exported.call)


def _read(path: Path) -> bytes | None:
    """What `_write` wrote; None where there is nothing, a damaged file, or another program's under this name, none of
    which its reader would notice.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, content = content[:DIGEST], content[DIGEST:]
    return content if _digest(path, content) == digest else None


def _write(path: Path, content: bytes) -> None:
    """All of the file or nothing, its digest first: two processes may write it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(_digest(path, content) + content)
    Path(file.name).replace(path)


def _digest(path: Path, content: bytes) -> bytes:
    """That of a program and of its key, which the file's name holds."""
    return hashlib.sha256(path.name.encode() + content).digest()


def _folder() -> Path:
    return cache_folder().with_name("traced")


def fetched(found: jax.Array) -> np.ndarray:
    """An array of a program that may still run, as NumPy's.

    A short program is waited for awake: a thread that the system has put to sleep comes back late and, on another
    core, with cold caches, at the cost of a small fit's whole search.
    """
    if cores() > 1:
        until = time.perf_counter() + AWAKE
        while not found.is_ready() and time.perf_counter() < until:
            pass
    return np.asarray(found)


def _platform(device: Any) -> str:
    """The kind of a default device, which may be a device, the name of a kind, or None."""
    return getattr(device, "platform", device) or jax.default_backend()


def cores() -> int:
    """Threads that can run a program each at the same time: the cores of a CPU, and one for a GPU."""
    if _platform(jax.config.jax_default_device) != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers(count: int) -> ThreadPoolExecutor:
    """So many threads to compute in: JAX's settings hold for a thread, so that each enters hier's for as long as it
    lives, and the caller's device.
    """
    device = jax.config.jax_default_device

    def enter() -> None:
        own_settings.__enter__()
        jax.default_device(device).__enter__()

    return ThreadPoolExecutor(count, initializer=enter)


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """The results of several calls that compile or load programs, each in a thread: XLA lets Python go on meanwhile."""
    with workers(len(calls)) as pool:
        return list(pool.map(lambda call: call(), calls))


@functools.cache
def _source() -> str:
    """A digest of the package's source and the versions of what traces it: a trace is of no use to any other."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[2].rglob("*.py")):
        digest.update(path.read_bytes())
    for name in TRACED_BY:
        digest.update(f"{name} {importlib.metadata.version(name)}".encode())
    return digest.hexdigest()
