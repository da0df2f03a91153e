"""Several at once, and the same again: who wins, what is kept, whether it is the same."""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from musex.extension import plan
from musex.prediction.model import Model, load_model
from musex.system.ledgers import LEDGER
from tests.conftest import synthesise
from tests.faults.cases import Promise
from tests.faults.commands import HUNG_SECONDS, RATE, Command, Place, describe, is_in_words, is_whole

ONE = Command(("extend", "song.wav", "--seconds", "100", "-o", "made/out.flac"), ("made/out.flac",), 100.0, False)
THREADS = 8
VARIED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NUMBA_NUM_THREADS")


def two_onto_one(folder: Path, random: np.random.Generator) -> str:
    place = Place(folder)
    processes = []
    for _ in range(2):
        processes.append(place.start(ONE))
        time.sleep(float(random.exponential(0.3)) * (random.random() < 0.7))
    told = [process.communicate(timeout=HUNG_SECONDS)[1] for process in processes]
    won = [process.returncode == 0 for process in processes]
    wrong = place.wrong(ONE, finished=True)
    if wrong or sum(won) != 1:
        return f"{sum(won)} of 2 won; {describe(ONE, processes[0], told[0], wrong)}; {told[1]!r}"
    loser = won.index(False)
    if not is_in_words(told[loser], processes[loser]) or "exists already" not in told[loser]:
        return describe(ONE, processes[loser], told[loser])
    return ""


def two_batches(folder: Path, random: np.random.Generator) -> str:
    place = Place(folder)
    commands = []
    for name in "ab":
        (place.work / name).mkdir()
        for number in range(3):
            song = (place.work / "album" / f"{name}.wav").read_bytes()
            (place.work / name / f"{name}{number}.wav").write_bytes(song)
        more = ("--jobs", str(1 + int(random.integers(2))), "--format", "flac")
        commands.append(Command(("extend", name, "--seconds", "60", "-o", "made", *more), (), 60.0, False))
    processes = [place.start(command) for command in commands]
    told = [process.communicate(timeout=HUNG_SECONDS)[1] for process in processes]
    for command, process, text in zip(commands, processes, told, strict=True):
        if process.returncode or text:
            return describe(command, process, text)
    expected = {f"{name}{number}-extended.flac" for name in "ab" for number in range(3)}
    ledger = set(json.loads((place.made / LEDGER).read_text()))
    if ledger != expected:
        return f"the ledger lacks {', '.join(sorted(expected - ledger))}"
    broken = [name for name in expected if not is_whole(place.made / name, commands[0])]
    left = {path.name for path in place.made.iterdir()} - expected - {LEDGER}
    return f"not whole: {broken}, left behind: {left}" if broken or left else ""


@cache
def _model() -> Model:
    return load_model()


def shared_model(folder: Path, random: np.random.Generator) -> str:
    """Songs planned by one model in threads, and by a model of their own one after another."""
    seeds = [int(seed) for seed in random.integers(0, 1_000, THREADS)]
    songs = [synthesise(30.0, RATE, 1, seed=seed) for seed in seeds]

    def planned(number: int, model: Model) -> str:
        return plan(songs[number], seconds=90.0, sample_rate=RATE, model=model, seed=seeds[number]).to_json()

    alone = [planned(number, load_model()) for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda number: planned(number, _model()), range(THREADS)))
    unlike = [seeds[number] for number in range(THREADS) if alone[number] != together[number]]
    return f"other plans together than alone: songs {unlike}" if unlike else ""


def same_again(folder: Path, random: np.random.Generator) -> str:
    """Plan and bytes by another number of threads, jobs, and another hash seed."""
    suffix = ("flac", "mp3", "ogg", "opus", "m4a")[int(random.integers(5))]
    seed, made = str(int(random.integers(1_000))), []
    for threads, jobs, hashing in (("1", "1", "0"), ("2", "2", str(int(random.integers(1, 10_000))))):
        place = Place(folder / threads)
        environment = {**dict.fromkeys(VARIED, threads), "PYTHONHASHSEED": hashing}
        single = ("song.wav", "-o", f"made/out.{suffix}", "--plan", "made/out.json")
        several = ("album", "-o", "made", "--format", suffix, "--jobs", jobs)
        for arguments in (single, several):
            command = Command(("extend", *arguments, "--seconds", "90", "--seed", seed), ())
            process = place.start(Command(command.arguments, (), overwrites=False), environment=environment)
            _, told = process.communicate(timeout=HUNG_SECONDS)
            if process.returncode:
                return describe(command, process, told)
        files = sorted(path for path in place.made.iterdir() if path.name != LEDGER)
        made.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files})
    unlike = [name for name in made[0] if made[0][name] != made[1].get(name)]
    return f"seed {seed}: other bytes of {', '.join(unlike)}" if unlike or made[0].keys() != made[1].keys() else ""


PROMISES = (
    Promise("Of two onto one output one wins, and its file is whole", "two at once", two_onto_one, "races", usual=5),
    Promise("Batches in one folder lose no entry", "two at once, one or two jobs", two_batches, "batches", 5, short=0),
    Promise(
        "Threads that share a model get what they get alone",
        "eight threads, a song each",
        shared_model,
        option="threads",
        usual=3,
        short=0,
    ),
    Promise(
        "The same seed makes the same plan and bytes",
        "1 or 2 threads and jobs, any hash seed",
        same_again,
        option="repeats",
        usual=3,
        short=0,
    ),
)
