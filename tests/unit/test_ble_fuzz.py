"""The fuzz job itself: it finds what is broken, its seeds reach every target, and a short run finds nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edge_twin.observation import Waveform
from edge_twin_adapters.ble import DecodeContext
from edge_twin_adapters.ble.frame import Item
from edge_twin_adapters.ble.interpreter import Interpreter
from edge_twin_adapters.ble.mailbox import Frame
from tests.fuzz.ble_seeds import published_vectors, seeds, session_seeds
from tests.fuzz.ble_targets import CHARACTERISTICS, TARGETS, BrokenPromiseError, attempt, demand, run_one
from tests.fuzz.fuzz_ble import main
from tests.fuzz.mutator import Finding, search


def test_the_seeds_reach_every_target_and_nearly_every_characteristic() -> None:
    start = seeds()
    targets = Counter(seed[0] for seed in start)
    assert set(targets) == set(range(len(TARGETS)))
    reached = {seed[1] for seed in start if seed[0] == 0}
    assert len(reached) >= 0.9 * len(CHARACTERISTICS)
    assert bytes.fromhex("1b0400e407070e0b06055a0277b0f80000") in published_vectors()


def test_the_session_seed_is_a_measurement_that_runs() -> None:
    (seed,) = session_seeds()
    told: list[Item] = []

    class Listening(Interpreter):
        def items(self, frame: Frame) -> list[Item]:
            told.extend(super().items(frame))
            return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.fuzz.ble_targets.Interpreter", Listening)
        run_one(seed)
    waves = [item for item in told if isinstance(item, Waveform)]
    assert [len(wave.samples) for wave in waves] == [4, 4, 4]
    assert waves[1].attributes["rate_source"] == "previous"


def test_a_short_run_finds_nothing() -> None:
    assert search(run_one, seeds(), seed=4, executions=6000, seconds=30.0) == 6000


def test_what_escapes_is_found_and_kept() -> None:
    def careless(data: bytes) -> None:
        demand(len(data) < 4 or data[3] != 0xFF, "planted")

    found = search(careless, [bytes(8)], seed=1, executions=5000, seconds=20.0)
    assert isinstance(found, Finding)
    assert found.data[3] == 0xFF
    assert isinstance(found.error, BrokenPromiseError)


def test_a_hang_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.mutator.HANG_S", 0.05)

    def endless(_data: bytes) -> None:
        while True:
            pass

    found = search(endless, [b"x"], seed=1, executions=1, seconds=20.0)
    assert isinstance(found, Finding)
    assert type(found.error).__name__ == "HangError"


def test_the_bars_are_about_what_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = next(seed for seed in seeds() if seed[0] == 0)
    run_one(seed)
    monkeypatch.setattr("tests.fuzz.ble_targets.MOST_NUMBERS_A_BYTE", 0)
    with pytest.raises(BrokenPromiseError, match="more came out"):
        run_one(seed)


def test_a_refusal_is_no_finding() -> None:
    assert attempt("2a37", b"", DecodeContext()) == []


def test_an_input_can_be_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "crash-1"
    file.write_bytes(seeds()[0])
    assert main([str(file)]) == 0
    assert "every bar holds" in capsys.readouterr().out
