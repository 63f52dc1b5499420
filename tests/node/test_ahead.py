"""Frames prepared on another thread give the same verdicts, and the replica does not wait for unstarted frames."""

import threading

from banyan_crdt.errors import Reject
from banyan_crdt.realm import TEST
from banyan_node.workers.ahead import THREADS, WORTH, Ahead, taken
from banyan_replica.intake.prepare import CheckedRun, prepare
from banyan_replica.wire import Credit, DataItems, RunItem, encode_message
from tests.crdt.make import Person
from tests.replica.helpers import run_item


def bulk(entries: int) -> bytes:
    return encode_message(DataItems([run_item(Person().write(entries))]))


def test_what_was_prepared_elsewhere_is_what_would_be_prepared_here() -> None:
    ahead = Ahead(TEST)
    frame = bulk(600)
    assert len(frame) >= WORTH
    begun = ahead.begin(frame)
    assert begun is not None
    begun.result()
    found = taken(begun)
    assert found == prepare(TEST, frame)
    assert found is not None
    assert isinstance(found.items[0], CheckedRun)
    ahead.close()


def test_a_forged_signature_is_found_out_there_too() -> None:
    ahead = Ahead(TEST)
    item = run_item(Person().write(600))
    frame = encode_message(DataItems([RunItem(item.run[:-1] + bytes((item.run[-1] ^ 1,)), [])]))
    begun = ahead.begin(frame)
    assert begun is not None
    assert isinstance(begun.result().items[0], Reject)
    ahead.close()


def test_only_large_frames_of_bulk_hop() -> None:
    ahead = Ahead(TEST)
    assert ahead.begin(bulk(2)) is None
    assert ahead.begin(encode_message(Credit(5)).ljust(WORTH, b"\0")) is None
    ahead.close()


def test_what_was_not_begun_is_left_to_the_replica_and_a_closed_one_begins_nothing() -> None:
    ahead = Ahead(TEST)
    gate = threading.Event()
    for _ in range(THREADS):
        ahead._pool.submit(gate.wait)
    begun = ahead.begin(bulk(600))
    assert begun is not None
    assert taken(begun) is None
    assert taken(None) is None
    gate.set()
    ahead.close()
    assert ahead.begin(bulk(600)) is None
