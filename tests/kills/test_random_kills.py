"""Kill each stage at random moments: what it leaves is nothing, or whole, and the next run completes it.

``nox -s kills`` makes a hundred kills; ``KILLS`` and ``KILLS_SEED`` set their number and the seed, which is printed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stages import STAGES

KILLS = int(os.environ.get("KILLS", "6"))
SEED = int(os.environ.get("KILLS_SEED", str(random.SystemRandom().randrange(10**6))))
STAGE = Path(__file__).with_name("stages.py")
SECONDS = 120.0
READY = ("restore",)  # what is killed begins behind another stage


def start(stage, folder):
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder)}
    log = (folder / "output").open("w")
    with log:
        child = subprocess.Popen(
            [sys.executable, STAGE, stage, folder], stdout=log, stderr=log, env=environment, process_group=0
        )
    while not (folder / "started").exists() and child.poll() is None:
        time.sleep(0.001)
    return child, time.monotonic()


def complete(stage, folder):
    """Run a stage to its end; return what it made, and how long that took."""
    child, began = start(stage, folder)
    assert child.wait(SECONDS) == 0, (folder / "output").read_text()
    return STAGES[stage][1](folder), time.monotonic() - began


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stage", STAGES)
def test_what_a_kill_leaves_is_nothing_or_whole(stage, tmp_path, capsys):
    numbers = random.Random(f"{SEED} {stage}")  # noqa: S311 -- moments
    whole, seconds = complete(stage, tmp_path / "whole")
    assert whole
    kinds = {"nothing": 0, "whole": 0}
    for kill in range(-(-KILLS // len(STAGES))):
        folder = tmp_path / str(kill)
        if stage in READY:
            folder.mkdir()
            (folder / "archive.tar.zst").write_bytes((tmp_path / "whole" / "archive.tar.zst").read_bytes())
        child, _ = start(stage, folder)
        moment = numbers.uniform(0, 1.1 * seconds)
        time.sleep(moment)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(SECONDS)
        left = STAGES[stage][1](folder)
        assert all(each in whole for each in left), f"seed {SEED}: killed after {moment:.3f} s, {folder} holds {left}"
        kinds["whole" if left else "nothing"] += 1
        (folder / "started").unlink()
        again, _ = complete(stage, folder)
        assert all(each in whole for each in again), f"seed {SEED}: run again after a kill at {moment:.3f} s: {again}"
        assert again
    with capsys.disabled():
        count = sum(kinds.values())
        print(f"\n{stage}: seed {SEED}, 0 of {count} kills left what is taken for whole and is not, {kinds}")  # noqa: T201 -- the figure of the session
