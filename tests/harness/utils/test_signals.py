from __future__ import annotations

import os
import signal

import pytest

from harness.utils import signals
from harness.utils.signals import StopRequest


def test_signals_soon_after_the_first_are_the_same_request() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)  # from 'timeout', to the process and to its group
        signal.raise_signal(signal.SIGTERM)
        assert stop.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_later_one_ends_as_it_would_have_without(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(signals, "_ONE_REQUEST_S", 0.0)
    came = []
    before = signal.signal(number, lambda n, _frame: came.append(n))
    try:
        with StopRequest():
            signal.raise_signal(number)
            assert came == []
            signal.raise_signal(number)
            assert came == [number]
    finally:
        signal.signal(number, before)


def test_a_closed_terminal_is_a_request_unless_nohup_ignores_it() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert stop.number == signal.SIGHUP
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with StopRequest() as stop, signals.default_signals():
            signal.raise_signal(signal.SIGHUP)
        assert stop.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_worker_leaves_a_signal_to_its_parent() -> None:
    with StopRequest() as stop, stop.at_once():
        if not (child := os.fork()):
            try:
                signal.raise_signal(signal.SIGINT)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="no SIGCHLD on this system")
def test_the_end_of_a_worker_is_no_fault_after_a_signal() -> None:
    def fault(_number: int, _frame: object) -> None:
        raise RuntimeError("DataLoader worker exited")

    before = signal.signal(signal.SIGCHLD, fault)
    try:
        with StopRequest():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGCHLD)
        assert signal.getsignal(signal.SIGCHLD) is fault
    finally:
        signal.signal(signal.SIGCHLD, before)
