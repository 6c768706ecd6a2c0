"""Processes that meet, here as threads around one table."""

from __future__ import annotations

import json
import threading
import time

import pytest
from torch.distributed import HashStore

from engine.cancellation import Cancellation
from engine.errors import Cancelled, DeviceError, EngineError, InputError
from engine.launch import Launch
from engine.training import meeting as meeting_room
from engine.training.meeting import Meeting

FOUND = {"data": "a", "options": {"epochs": 2}}


def together(*works, store=None):
    """Run each function with a meeting of its own; returns what came of each, or what it raised."""
    store = store or HashStore()
    wishes = [Cancellation() for _ in works]
    outcomes = [None] * len(works)

    def process(rank):
        try:
            outcomes[rank] = works[rank](Meeting(Launch(rank, len(works)), store, wishes[rank]), wishes[rank])
        except Exception as error:
            outcomes[rank] = error

    threads = [threading.Thread(target=process, args=(rank,)) for rank in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return outcomes


def settles(found=FOUND, decision=None):
    return lambda meeting, wish: meeting.settle(found, lambda: decision or {"resume": True})


def refuses(error):
    return lambda meeting, wish: meeting.refuse(error)


def test_all_follow_the_first():
    assert together(settles(decision={"resume": False}), settles(), settles()) == [{"resume": False}] * 3


def test_what_was_written_before_a_restart_is_not_believed():
    store = HashStore()
    assert together(settles(decision={"resume": False}), settles(), store=store) == [{"resume": False}] * 2
    # torchrun keeps the table: answers of the last start are still there.
    assert together(settles(), settles(), store=store) == [{"resume": True}] * 2


def test_who_finds_something_else_is_named():
    first, second = together(settles(), settles({**FOUND, "data": "b"}))
    assert isinstance(first, EngineError)
    assert first.message == "Process 1 found other data than the first one."
    # Said once: the other ends with the same code, without words.
    assert (second.kind, second.message) == ("input", "")


def test_the_first_says_what_another_met():
    problem = InputError("There is no 'p.tif'.", "Look for it.")
    first, second, third = together(settles(), refuses(problem), settles())
    assert first.kind == second.kind == third.kind == "input"
    assert "Process 1 of 3" in first.message
    assert first.message.endswith("There is no 'p.tif'.")
    assert first.hint == "Look for it."
    assert second.message == third.message == ""


def test_what_all_meet_is_said_once():
    first, second = together(refuses(InputError("No data.")), refuses(InputError("No data.")))
    assert first.message == "No data."
    assert (second.kind, second.message) == ("input", "")


def test_what_stops_the_first_stops_all():
    def decide():
        raise InputError("The disk is full.")

    first, second = together(lambda meeting, wish: meeting.settle(FOUND, decide), settles())
    assert first.message == "The disk is full."
    assert (second.kind, second.message) == ("input", "")


def test_a_failure_while_learning_reaches_the_others():
    def waits(meeting, wish):
        assert wish.wait(10)
        # What the library says when the other is gone.
        return meeting.end(RuntimeError("[gloo/transport/tcp/pair.cc:5] Connection closed by peer"))

    def fails(meeting, wish):
        return meeting.end(InputError("The patch is damaged."))

    first, second = together(waits, fails)
    assert "Process 1 of 2" in first.message
    assert first.message.endswith("The patch is damaged.")
    assert second.message == "The patch is damaged."


def test_a_lost_process_is_told_as_such(monkeypatch):
    monkeypatch.setattr(meeting_room, "HEAR_SECONDS", 0.05)
    lost = RuntimeError("Connection closed by peer [127.0.0.1]:5")
    first, second = together(lambda meeting, wish: meeting.end(lost), lambda meeting, wish: None)
    assert isinstance(first, DeviceError)
    assert "Another of the 2 processes" in first.message
    assert "Connection closed by peer" in first.message
    assert second is None


def test_who_was_told_to_stop_says_so_when_the_others_are_gone_first():
    def stopped(meeting, wish):
        wish.note = "Cancelled. Epoch 3 is kept."
        wish.set()
        return meeting.end(RuntimeError("NCCL communicator was aborted"))

    first, _ = together(stopped, lambda meeting, wish: None)
    assert isinstance(first, Cancelled)
    assert first.message == "Cancelled. Epoch 3 is kept."


def test_waiting_ends_when_cancelled():
    def stops(meeting, wish):
        threading.Timer(0.2, wish.set).start()
        return meeting.settle(FOUND, dict)

    began = time.monotonic()
    first, _ = together(stops, lambda meeting, wish: None)
    assert isinstance(first, Cancelled)
    assert time.monotonic() - began < 5


def test_who_never_comes_is_told(monkeypatch):
    monkeypatch.setattr(meeting_room, "MEET_SECONDS", 0.2)
    with pytest.raises(DeviceError, match="1 of the 2 processes did not come"):
        Meeting(Launch(0, 2, address="here", port=5), HashStore(), Cancellation())
    with pytest.raises(DeviceError, match="The first process did not come to here, port 5"):
        Meeting(Launch(1, 2, address="here", port=5), HashStore(), Cancellation())


def test_the_first_waits_until_what_it_refuses_is_heard():
    """The table ends with the first process, be it that the others are slow."""
    store, asked = HashStore(), threading.Event()

    def first(meeting, wish):
        refused = meeting.refuse(InputError("No data."))
        return refused, asked.is_set()

    def slow(meeting, wish):
        time.sleep(0.3)
        asked.set()
        return meeting.refuse(InputError("No data."))

    (error, heard), silent = together(first, slow, store=store)
    assert error.message == "No data."
    assert heard
    assert silent.message == ""


def test_values_are_plain_json():
    store = HashStore()
    together(settles(), settles(), store=store)
    word = store.get("welcome/1").decode().partition(" ")[2]
    assert json.loads(store.get(f"{word}/decided")) == {"decision": {"resume": True}}
