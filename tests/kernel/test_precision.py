"""hier computes under its own settings of JAX, and leaves the user's as they were."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

import hier
from hier.kernel.programs import at_once, precision
from hier.kernel.programs.cache import programs_folder
from hier.kernel.programs.compiled import Program, workers
from hier.kernel.programs.precision import float64, kept_programs, own_settings, settings_of_jax

STRICT = {
    "jax_numpy_rank_promotion": "raise",
    "jax_numpy_dtype_promotion": "strict",
    "jax_default_prng_impl": "rbg",
    "jax_default_matmul_precision": "bfloat16",
    "jax_threefry_partitionable": False,
    "jax_legacy_prng_key": "error",
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
    "jax_check_tracer_leaks": True,
    "jax_disable_jit": True,
    "jax_enable_checks": True,
    "jax_log_compiles": True,
    "jax_transfer_guard": "disallow",
    "jax_default_device": "cpu",
    "jax_enable_x64": False,
}


def settings() -> dict[str, object]:
    return {name: getattr(jax.config, name) for name in (*STRICT, "jax_compilation_cache_dir")}


@pytest.fixture
def strict():
    """The strictest settings that a user may have, for the process and so for all of its threads."""
    before = {name: getattr(jax.config, name) for name in STRICT}
    guards = [f"jax_transfer_guard_{way}" for way in ("host_to_device", "device_to_device", "device_to_host")]
    for name, value in STRICT.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    for name in guards:
        jax.config.update(name, None)


def outer(x: jax.Array, y: jax.Array) -> tuple[jax.Array, ...]:
    """What strict settings refuse: ranks and kinds that differ, and what is not a number."""
    return x[:, None] * jnp.arange(3) + y, jnp.log(x - 1.0)


def computed() -> list[np.ndarray]:
    """By a program, traced anew each time, whose results a thread fetches."""

    @float64
    def run() -> list[np.ndarray]:
        program = Program("outer", (object(),), outer)
        with workers(1) as pool:
            return list(map(np.asarray, pool.submit(lambda: program(np.ones(2), np.arange(3))).result()))

    return run()


def test_programs_are_traced_and_run_under_hiers_settings(strict) -> None:
    before = settings()
    found = computed()
    assert [array.dtype for array in found] == [np.float64, np.float64]
    np.testing.assert_array_equal(found[0], [[0.0, 2.0, 4.0]] * 2)
    np.testing.assert_array_equal(found[1], [-np.inf, -np.inf])
    assert settings() == before


def test_settings_that_hold_for_a_thread_are_left_as_well() -> None:
    wide, long = jnp.ones((2, 3)), jnp.ones(3)
    with jax.numpy_rank_promotion("raise"), jax.enable_x64(False), jax.transfer_guard("disallow"):
        before = settings()
        computed()
        assert settings() == before
        with pytest.raises(ValueError, match="rank_promotion"):
            wide + long


def test_within_hiers_settings_all_of_them_hold(strict) -> None:
    with own_settings:
        for setting, values in settings_of_jax():
            assert setting.value in values, setting.name
        assert jax.config.jax_enable_x64
        assert not jax.config.jax_disable_jit


def test_answers_do_not_depend_on_the_users_settings(pigs_model, pigs_reml, strict) -> None:
    found = pigs_model.estimate()
    assert found.objective == pigs_reml.objective
    np.testing.assert_array_equal(found.simulate(2, seed=3), pigs_reml.simulate(2, seed=3))
    np.testing.assert_array_equal(found.predict(se=True), pigs_reml.predict(se=True))


@pytest.mark.slow
def test_draws_from_the_prior_do_not_depend_on_the_users_settings(pigs) -> None:
    model = hier.Model("weight ~ week + (1 | id)", pigs)
    drawn = model.sample_prior(5, seed=2)["prior"]["beta"].to_numpy()
    with jax.default_prng_impl("rbg"), jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        again = model.sample_prior(5, seed=2)["prior"]["beta"].to_numpy()
    np.testing.assert_array_equal(drawn, again)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """hier's folder and one of the user's; JAX forgets the one that it holds on to before and after."""
    monkeypatch.setenv("HIER_CACHE_DIR", str(tmp_path / "hier"))
    reset_cache()
    yield tmp_path / "hier", tmp_path / "user"
    reset_cache()


def files(folder) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.is_file())


def compile_users(value: float) -> None:
    jax.jit(lambda x: jnp.sin(x) * value)(jnp.ones(3)).block_until_ready()


def test_programs_of_the_user_are_not_kept_in_hiers_folder(folders) -> None:
    own, _ = folders
    computed()
    kept = files(own)
    assert kept, "hier's own program is kept"
    threshold = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    try:
        compile_users(0.123)
    finally:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", threshold)
    assert files(own) == kept
    assert jax.config.jax_compilation_cache_dir is None
    assert threshold == 1.0


def test_a_folder_that_the_user_sets_later_is_used(folders) -> None:
    own, users = folders
    computed()
    kept = files(own)
    with contextlib.ExitStack() as stack:
        for name, value in (
            ("jax_compilation_cache_dir", str(users)),
            ("jax_persistent_cache_min_compile_time_secs", 0.0),
        ):
            stack.callback(jax.config.update, name, getattr(jax.config, name))
            jax.config.update(name, value)
        compile_users(0.456)
        assert list(users.iterdir())
        computed()
        assert jax.config.jax_compilation_cache_dir == str(users)
        new = set(files(own)) - set(kept)
        assert {path.rpartition("/")[2].partition("-")[0] for path in new} == {"outer"}, "hier's own program alone"


def test_the_cache_stays_on_until_the_last_thread_is_done(folders) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with kept_programs:
            inside.set()
            leave.wait(10.0)

    thread = threading.Thread(target=other)
    with kept_programs:
        thread.start()
        inside.wait(10.0)
    assert jax.config.jax_compilation_cache_dir == str(programs_folder())
    leave.set()
    thread.join()
    assert jax.config.jax_compilation_cache_dir is None


def test_operations_are_kept_in_files_that_hold_their_keys(folders) -> None:
    own, _ = folders
    with kept_programs, own_settings:
        compile_users(0.789)
    whole = {path: path.read_bytes() for path in own.rglob("operation-*.program")}
    assert whole
    for path, content in whole.items():
        path.write_bytes(content[:-1])
    jax.clear_caches()
    with kept_programs, own_settings, warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_users(0.789)
    assert any(path.stat().st_size > len(content) - 1 for path, content in whole.items()), "it is written anew"


def test_what_the_user_sets_meanwhile_stays(folders) -> None:
    _, users = folders
    with kept_programs:
        jax.config.update("jax_compilation_cache_dir", str(users))
    assert jax.config.jax_compilation_cache_dir == str(users)
    jax.config.update("jax_compilation_cache_dir", None)
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 1.0


def test_a_forked_process_is_told_what_to_do(pigs_model, pigs_reml, monkeypatch) -> None:
    """As seen by the child: another process than the one in which JAX computed."""
    precision.refuse_forked()
    monkeypatch.setattr(precision.os, "getpid", lambda: -1)
    with at_once.only(numpy=False), pytest.raises(hier.FitError, match="forked") as caught:
        pigs_model.estimate()
    assert "spawn" in str(caught.value)
    assert "forkserver" in str(caught.value)
    assert pigs_reml.summary(), "what is estimated already can be read"
    assert pigs_model.estimate().converged, "what NumPy computes needs no threads of JAX"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only Unix forks")
@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning", "ignore:.*fork:DeprecationWarning")
def test_a_child_of_a_process_pool_does_not_wait_for_ever(pigs_model, pigs_reml) -> None:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    precision.refuse_forked()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        with at_once.only(numpy=False):
            waiting = pool.submit(pigs_model.estimate)
        with pytest.raises(hier.FitError, match=r"forked(.|\n)*spawn"):
            waiting.result(timeout=60)
