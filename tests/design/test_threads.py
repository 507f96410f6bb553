"""BLAS runs on one thread inside hier, and on as many as before outside of it."""

from __future__ import annotations

import threading

import pytest
from threadpoolctl import ThreadpoolController

import hier
from hier.design import one_blas_thread
from hier.estimate import fit as estimation


def numbers() -> list[int]:
    return [library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers]


@pytest.fixture(autouse=True)
def two_threads():
    with one_blas_thread:
        pass  # the libraries are loaded
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        yield


def test_one_inside_and_as_before_outside():
    with one_blas_thread:
        assert set(numbers()) == {1}
    assert set(numbers()) == {2}


def test_taken_back_after_an_error():
    with pytest.raises(ZeroDivisionError), one_blas_thread:
        _ = 1 / 0
    assert set(numbers()) == {2}


def test_a_nested_call_does_not_take_it_back():
    with one_blas_thread:
        with one_blas_thread:
            pass
        assert set(numbers()) == {1}
    assert set(numbers()) == {2}


def test_another_thread_leaves_it_alone():
    thread = threading.Thread(target=one_blas_thread(lambda: None))
    with one_blas_thread:
        thread.start()
        thread.join()
        assert set(numbers()) == {1}
    assert set(numbers()) == {2}


def test_a_fit_runs_on_one(monkeypatch):
    seen = []
    fit = estimation.fit_best

    def watched(*arguments, **options):
        seen.append(set(numbers()))
        return fit(*arguments, **options)

    from hier.kernel.programs.precision import float64

    monkeypatch.setattr(estimation, "fit_best", float64(watched))
    hier.Model("weight ~ week + (week | id)", hier.load_dataset("pigs")).estimate()
    assert seen == [{1}]
    assert set(numbers()) == {2}
