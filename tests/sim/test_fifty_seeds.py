"""A hundred replicas, fifty seeds, each run twice: every world converges, and the second run is the first again.

The two runs of a seed are made by two processes with different hash seeds, so that nothing may depend on the order of
a set. A failing seed is a bug report: `python -m banyan_sim.run --nodes 100 --seed N` shows it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import pytest
from banyan_sim.run import Result, run_world

NODES = 100
SEEDS = range(1, 1 + int(os.environ.get("BANYAN_SIM_SEEDS", "50")))


@contextmanager
def _worker(hash_seed: str) -> Iterator[ProcessPoolExecutor]:
    """One process that hashes strings in its own way."""
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = hash_seed
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(int).result()
            if before is None:
                del os.environ["PYTHONHASHSEED"]
            else:
                os.environ["PYTHONHASHSEED"] = before
            yield pool
    finally:
        if before is None:
            os.environ.pop("PYTHONHASHSEED", None)
        else:
            os.environ["PYTHONHASHSEED"] = before


def test_a_hundred_replicas_converge_from_fifty_seeds_the_same_way_twice() -> None:
    with _worker("1") as one, _worker("2") as two:
        runs = [(seed, one.submit(run_world, NODES, seed), two.submit(run_world, NODES, seed)) for seed in SEEDS]
        try:
            for seed, first, second in runs:
                _judge(seed, first.result(), second.result())
        except BaseException:
            for pool in (one, two):
                pool.shutdown(cancel_futures=True)
            raise


def _judge(seed: int, first: Result, second: Result) -> None:
    assert first.converged, f"seed {seed} did not converge in {first.seconds} s: {first.why}"
    assert not first.wronged, f"seed {seed}: honest machines paid for the lies of others: {first.wronged}"
    if first != second:
        pytest.fail(f"seed {seed} told two stories: {first} and {second}")
