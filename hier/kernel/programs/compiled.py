"""Functions of arrays as programs: compiled once for a structure of their arguments, and kept for the next process."""

from __future__ import annotations

import dataclasses
import functools
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from hier.kernel.arrays.control import leaves
from hier.kernel.programs import background, capacity
from hier.kernel.programs.at_once import LOADING, REPEATED, Account
from hier.kernel.programs.background import Background, Origin
from hier.kernel.programs.capacity import cpus
from hier.kernel.programs.executables import TRACED_BY, compile_and_keep, load
from hier.kernel.programs.precision import own_settings
from hier.kernel.programs.waiting import enter, interruptible

if TYPE_CHECKING:
    import jax

AWAKE = 1e-3  # seconds; beside a longer run, what waking costs does not count
COVERED = {"hier", "builtins", "collections", *TRACED_BY}


class Compiled:
    """A compiled function of arrays; `outputs` are the shapes and kinds of its results."""

    def __init__(self, compiled: jax.stages.Compiled) -> None:
        import jax

        self.outputs: list[Any] = jax.tree.leaves(compiled.out_info)
        self._compiled = compiled

    def __call__(self, *leaves: Any) -> Sequence[jax.Array]:
        with own_settings:  # they hold for a thread: one of its own enters without them
            return self._compiled(*leaves)


class Use:
    """How a program has been used for arrays of some shapes: NumPy's `account`, and what another process `compiles`."""

    def __init__(self) -> None:
        self.account = Account()
        self.compiles: Background | None = None
        self.has_looked = self.is_compiled = False


class Program:
    """A function of arrays, compiled once for each structure of its arguments.

    `function(*arguments)` takes trees of arrays and returns a tuple of arrays. `fixed` is what the function was built
    with: with the name, the shapes and the package's own source it must say all that the trace depends on. A call
    has to come from inside `precision.float64` or `precision.computed`, but what `bind` returns may be called from any
    thread. `seconds(*arguments)`: about how long NumPy would take, of a function that it can compute; see `at_once`.
    """

    def __init__(
        self,
        name: str,
        fixed: tuple[Any, ...],
        function: Callable[..., tuple[jax.Array, ...]],
        seconds: Callable[..., float] | None = None,
    ) -> None:
        self._key = (name, fixed)
        self.function = function
        self._seconds = seconds
        self.origin: Origin | None = None
        self._uses: dict[Any, Use] = {}
        self._compiled: dict[Any, Compiled] = {}
        self._lock = threading.Lock()

    def __call__(self, *arguments: Any) -> Sequence[Any]:
        use = self._use_of_numpy(arguments)
        if use is not None:
            with use.account, np.errstate(all="ignore"):  # as JAX, which says nothing of what is no number
                return self.function(*arguments)
        own_settings.set()
        import jax

        leaves, tree = jax.tree.flatten(arguments)
        return self._bound(leaves, tree)(*leaves)

    def _use_of_numpy(self, arguments: tuple[Any, ...]) -> Use | None:
        """Where NumPy is to compute a call, what is noted of such calls."""
        if self._seconds is None:
            return None
        shapes = tuple((getattr(array, "shape", ()), getattr(array, "dtype", None)) for array in leaves(arguments))
        use = self._uses.setdefault(shapes, Use())
        if not use.account.allows(self._seconds(*arguments)):
            return None
        return None if use.account.has_taken(LOADING) and self._is_there(use, arguments) else use

    def _is_there(self, use: Use, arguments: tuple[Any, ...]) -> bool:
        """Whether the program is compiled, or kept on disk, to which another process sees."""
        if not use.is_compiled:
            if not use.has_looked:
                use.has_looked = True
                use.is_compiled = "jax" in sys.modules and self._load(arguments)
            elif use.compiles is None:
                if use.account.has_taken(REPEATED):
                    use.compiles = background.begin(self.origin, arguments)
            elif use.compiles.has_just_succeeded():
                use.is_compiled = self._load(arguments)
        return use.is_compiled

    def _load(self, arguments: tuple[Any, ...]) -> bool:
        """Load the program if it is kept; whether it was."""
        own_settings.set()
        import jax

        leaves, tree = jax.tree.flatten(arguments)
        device = jax.config.jax_default_device
        found = load(self._key[0], self._in_words(leaves, tree), len(leaves), device)
        if found is not None:
            with self._lock:
                self._keep(_signature(leaves, tree, device), Compiled(found))
        return found is not None

    def ahead(self, *arguments: Any) -> None:
        """Load or compile what a call with arguments like these would run, where NumPy is not to compute it."""
        if self._use_of_numpy(arguments) is None:
            self.bind(*arguments)

    def bind(self, *arguments: Any) -> Compiled:
        """The program for arguments like these, of which only shapes and kinds matter: a function of their leaves."""
        import jax

        return self._bound(*jax.tree.flatten(arguments))

    def _bound(self, leaves: list[Any], tree: Any) -> Compiled:
        import jax

        device = jax.config.jax_default_device
        signature = _signature(leaves, tree, device)
        found = self._compiled.get(signature)
        if found is not None:
            capacity.used((id(self), signature))
            return found
        return interruptible(lambda: self._made(signature, leaves, tree, device))

    def _made(self, signature: Any, leaves: list[Any], tree: Any, device: Any) -> Compiled:
        with self._lock:
            found = self._compiled.get(signature)
            if found is None:
                found = self._compile(leaves, tree, device)
                self._keep(signature, found)
        return found

    def _keep(self, signature: Any, compiled: Compiled) -> None:
        self._compiled[signature] = compiled
        capacity.added((id(self), signature), lambda: self._compiled.pop(signature, None))

    def _compile(self, leaves: list[Any], tree: Any, device: Any) -> Compiled:
        import jax

        def of_leaves(*leaves: Any) -> tuple[jax.Array, ...]:
            return tuple(self.function(*jax.tree.unflatten(tree, leaves)))

        name, key = self._key[0], self._in_words(leaves, tree)
        return Compiled(load(name, key, len(leaves), device) or compile_and_keep(name, key, of_leaves, leaves, device))

    def _in_words(self, leaves: list[Any], tree: Any) -> str | None:
        """All that the trace depends on but hier's code; None where there is other code among it."""
        if not (_is_covered(tree) and _is_kept(self._key)):
            return None
        return repr((self._key, str(tree), [(np.shape(leaf), str(leaf.dtype)) for leaf in leaves]))


def _signature(leaves: list[Any], tree: Any, device: Any) -> tuple[Any, ...]:
    """What tells the programs of one function apart."""
    return (tree, device, *((np.shape(leaf), leaf.dtype) for leaf in leaves))


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
    if hasattr(value, "node_data"):  # the structure of a tree of JAX's
        return all(map(_is_covered, (value.node_data(), *value.children())))
    if isinstance(value, tuple | list):
        return all(map(_is_covered, value))
    if isinstance(value, dict):
        return all(map(_is_covered, (*value, *value.values())))
    kind = value if isinstance(value, type) else type(value)
    return kind.__module__.partition(".")[0] in COVERED


def told_by_origin[**P](factory: Callable[P, Program]) -> Callable[P, Program]:
    """A function that makes programs, one for each of its arguments, in such a way that another process can make it."""

    @functools.cache
    def made(*arguments: Any) -> Program:
        program = factory(*arguments)  # pyright: ignore[reportCallIssue]
        program.origin = Origin(by_name, arguments)
        return program

    @functools.wraps(factory)
    def by_name(*arguments: P.args, **_: P.kwargs) -> Program:
        return made(*arguments)

    return by_name


def fetched(found: Any) -> np.ndarray:
    """An array of a program that may still run, as NumPy's.

    A short program is waited for awake: a thread that the system has put to sleep comes back late and, on another
    core, with cold caches, at the cost of a small fit's whole search.
    """
    if isinstance(found, np.ndarray):
        return found
    if cores() > 1:
        until = time.perf_counter() + AWAKE
        while not found.is_ready() and time.perf_counter() < until:
            pass
    return np.asarray(found)


def _platform(device: Any) -> str:
    """The kind of a default device, which may be a device, the name of a kind, or None."""
    import jax

    return getattr(device, "platform", device) or jax.default_backend()


def cores() -> int:
    """Threads that can run a program each at the same time: the cores of a CPU, and one for a GPU."""
    import jax

    if _platform(jax.config.jax_default_device) != "cpu":
        return 1
    return cpus()


def workers(count: int) -> ThreadPoolExecutor:
    """So many threads to compute in: JAX's settings hold for a thread, so that each enters hier's for as long as it
    lives, and the caller's device.
    """
    import jax

    device = jax.config.jax_default_device
    return ThreadPoolExecutor(count, initializer=lambda: enter(device))
