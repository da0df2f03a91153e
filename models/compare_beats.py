"""Beat trackers side by side, on scores whose beats are known and on recordings, where they can only agree.

    python models/compare_beats.py scores SCORES/validation RUN/
    python models/compare_beats.py recordings MUSIC/ RUN/

The network of musex (`RUN/beats.tflite`), BeatNet, and the mean of both, all decoded alike; on recordings librosa's
tracker, too. F-measures as `mir_eval.beat` has them, ±70 ms, the first 5 s left out; in brackets 95 % bootstrap
intervals over pieces.
"""

import argparse
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import mir_eval
import numpy as np

from musex.analysis import beatnet
from musex.analysis.bar_pointer import Beats, decode
from musex.analysis.features import analyse_frames, to_mono
from musex.audio.reading import read_song
from musex.config import FEATURES
from musex.errors import AudioError
from musex.prediction.beat_network import DECODER, BeatNetwork
from musex.system.arrays import load_arrays, save_arrays

Array = np.ndarray

LONGEST_SECONDS = 150  # of a recording
QUESTIONS = ("beats", "downbeats", "metre", "pulse told", "beats, any level")


def f_measure(reference: Array, found: Array) -> float:
    reference, found = mir_eval.beat.trim_beats(reference), mir_eval.beat.trim_beats(found)
    return (
        float(mir_eval.beat.f_measure(reference, found))
        if len(reference) and len(found)
        else float(len(reference) == len(found))
    )


def any_level(reference: Array, found: Array) -> float:
    """Share of the time in which beats are right, at half or twice the tempo, or between, too."""
    reference, found = mir_eval.beat.trim_beats(reference), mir_eval.beat.trim_beats(found)
    return float(mir_eval.beat.continuity(reference, found)[3]) if len(reference) > 2 and len(found) > 2 else 0.0


def judge(beats: Beats, times: Array, downbeats: Array, metre: int) -> tuple[float, ...]:
    """Answers to `QUESTIONS`; of music without a pulse only whether none is told."""
    if not len(times):
        return (np.nan, np.nan, np.nan, float(not len(beats.times)), np.nan)
    return (
        f_measure(times, beats.times),
        f_measure(downbeats, beats.downbeats),
        float(beats.metre == metre),
        float(len(beats.times) > 0),
        any_level(times, beats.times),
    )


def with_interval(values: Array) -> str:
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    means = np.random.default_rng(0).choice(values, (1000, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def compare_scores(folder: Path, networks: dict[str, BeatNetwork]) -> None:
    answers: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    for path in sorted(folder.glob("*.npz")):
        piece = load_arrays(path) or {}
        times, kind = piece["beats"], path.stem.split("-")[0]
        truth = (times, times[piece["positions"] == 0], int(piece["metre"]))
        theirs = piece["beatnet"].astype(np.float32)
        activations: dict[str, Array] = {"BeatNet": theirs}
        for name, network in networks.items():
            ours = network.activations(piece["log_mel"].astype(np.float32), piece["chroma"].astype(np.float32))
            count = min(len(ours), len(theirs))
            activations |= {name: ours, f"{name} + BeatNet": (ours[:count] + theirs[:count]) / 2}
        for name, shown in activations.items():
            answer = judge(decode(shown, config=DECODER), *truth)
            answers[kind, name].append(answer)
            answers["all", name].append(answer)
    print("| pieces | | n | " + " | ".join(QUESTIONS) + " |\n|" + "---|" * (3 + len(QUESTIONS)))
    for (kind, name), rows in sorted(answers.items()):
        cells = [with_interval(column) for column in np.array(rows).T]
        print(f"| {kind} | {name} | {len(rows)} | " + " | ".join(cells) + " |")


def compare_recordings(folder: Path, networks: dict[str, BeatNetwork], most: int, cache: Path | None) -> None:
    import librosa

    agreements: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    pulses: dict[str, list[bool]] = defaultdict(list)
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".ogg", ".flac", ".mp3", ".wav", ".opus"))
    for path in paths[:: max(1, len(paths) // most)]:
        kept = cache / f"{path.parent.name}-{path.stem}.npz" if cache else None
        if kept is None or (arrays := load_arrays(kept)) is None:
            try:
                song = read_song(path)
            except AudioError:
                continue
            mono = to_mono(song.samples, song.sample_rate)[: LONGEST_SECONDS * FEATURES.sample_rate]
            log_mel, chroma = analyse_frames(mono)
            _, heard = librosa.beat.beat_track(y=mono, sr=FEATURES.sample_rate, units="time")
            arrays = {"log_mel": log_mel, "chroma": chroma, "librosa": heard}
            arrays["beatnet"] = beatnet.activations(mono, FEATURES.sample_rate)
            if kept:
                save_arrays(arrays, kept)
        found = {"BeatNet": decode(arrays["beatnet"], config=DECODER)}
        for name, network in networks.items():
            ours = network.activations(arrays["log_mel"], arrays["chroma"])
            count = min(len(ours), len(arrays["beatnet"]))
            found |= {
                name: decode(ours, config=DECODER),
                f"{name} + BeatNet": decode((ours[:count] + arrays["beatnet"][:count]) / 2, config=DECODER),
            }
        for name, beats in found.items():
            pulses[name].append(len(beats.times) > 0)
            if len(beats.times):
                agreements[name, "librosa"].append(
                    (f_measure(arrays["librosa"], beats.times), any_level(arrays["librosa"], beats.times), np.nan)
                )
        for one, other in combinations(found, 2):
            if len(found[one].times) and len(found[other].times):
                agreements[one, other].append(
                    (
                        f_measure(found[one].times, found[other].times),
                        any_level(found[one].times, found[other].times),
                        f_measure(found[one].downbeats, found[other].downbeats),
                    )
                )
    for name, told in pulses.items():
        print(f"{name}: pulse told in {sum(told)} of {len(told)}")
    print("| | | n | beats | beats, any level | downbeats |\n|---|---|---|---|---|---|")
    for (one, other), rows in agreements.items():
        cells = [with_interval(column) for column in np.array(rows).T]
        print(f"| {one} | {other} | {len(rows)} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("scores", "recordings"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of beats.tflite")
    parser.add_argument("--most", type=int, default=1000, help="recordings that are heard")
    parser.add_argument("--cache", type=Path, help="folder to keep what recordings gave")
    arguments = parser.parse_args()
    networks = {run.name or "musex": BeatNetwork(run / "beats.tflite") for run in arguments.runs}
    if arguments.what == "scores":
        compare_scores(arguments.folder, networks)
    else:
        compare_recordings(arguments.folder, networks, arguments.most, arguments.cache)


if __name__ == "__main__":
    main()
