"""Between the line with the server's address and its first request."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator

import pytest

from kraken_fleet.server.run import _spare_collections


@pytest.fixture
def collector() -> Iterator[None]:
    """Give the garbage collector back as it was."""
    before = gc.get_threshold()
    gc.disable()  # else one that Python begins by itself may come first
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_ctrl_c_within_a_collection_is_not_lost() -> None:
    handler = signal.getsignal(signal.SIGINT)

    def press(phase: str, _info: dict[str, int]) -> None:
        gc.callbacks.remove(press)
        signal.raise_signal(signal.SIGINT)

    gc.callbacks.append(press)
    with pytest.raises(KeyboardInterrupt):
        _spare_collections()
    assert signal.getsignal(signal.SIGINT) is handler
