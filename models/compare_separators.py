"""The separator beside median filtering: on rendered stems, which are known, and on recordings.

    python models/compare_separators.py renders STEMS/validation [SEPARATOR.tflite]
    python models/compare_separators.py recordings MUSIC/ [SEPARATOR.tflite]
    python models/compare_separators.py cutoffs STEMS/validation

`STEMS` is what `models/render_stems.py` leaves. *Filter* is `musex.analysis.percussion` for drums; for bass it is what
is left below `CUTOFF_HZ`, which was chosen by `cutoffs`. SDR and SI-SDR are of the middle 40 s of pieces in which the
stem is heard, of both channels together; where a stem is silent, how far below the mixture lies what is taken for it.

Recordings: what was separated is mixed again at other levels and separated again; SDR is that of the second time, the
first being the truth. *Isolated*: the share of the loud places of a spectrogram that stand alone, as musical noise
does. *Kurtosis*: logarithm of the ratio of the spectrogram's kurtosis to the mixture's (Uemura et al., Automatic
optimization scheme of spectral subtraction based on musical noise assessment, 2008). In brackets 95 % bootstrap
intervals over songs.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy import signal

from musex.analysis import percussion
from musex.audio.reading import read_song
from musex.errors import AudioError
from musex.metrics import bootstrap_interval, scale_invariant_ratio, signal_ratio
from musex.separation.separator import STEMS, Separator
from musex.system.arrays import Array

RATE = 44_100
CUTOFF_HZ = 160.0
CUTOFFS_HZ = (100.0, 130.0, 160.0, 200.0, 250.0, 320.0, 400.0)
HEARD_DB = -25.0  # of a stem in the mixture, from which on it is heard
SILENT_DB = -70.0  # below which it is silent
SUFFIXES = (".ogg", ".mp3", ".flac", ".wav")
RENDER_SECONDS, EXCERPT_SECONDS = 40.0, 20.0  # of a render and of a recording, their middles
MIXES = ({"drums": 6.0, "bass": -6.0}, {"drums": -6.0, "bass": 6.0}, {"rest": -6.0})  # dB
N_FFT, HOP_LENGTH = 2048, 512  # of the spectrogram in which noise is looked for
RANGE_DB, STANDS_OUT_DB = 50.0, 10.0


def filter_stems(mixture: Array) -> dict[str, Array]:
    """Drums by median filtering, and bass as all else below a frequency."""
    drums = percussion.separate(mixture)
    return {"drums": drums, "bass": keep_low(mixture - drums, CUTOFF_HZ)}


def keep_low(samples: Array, cutoff: float) -> Array:
    """What lies below a frequency, without delay."""
    low = signal.butter(4, cutoff, fs=RATE, output="sos")
    return np.asarray(signal.sosfiltfilt(low, samples, axis=0), np.float32)


def read_stems(path: Path) -> Array:
    """The middle of a rendered piece, float32 (3, frames, 2)."""
    stems = np.load(path, mmap_mode="r", allow_pickle=False)
    size = round(RENDER_SECONDS * RATE)
    start = max(0, (stems.shape[1] - size) // 2)
    return np.asarray(stems[:, start : start + size].astype(np.float32) / np.float32(32768.0))


def level_db(samples: Array) -> float:
    return 10.0 * float(np.log10(max(float(np.mean(np.square(samples, dtype=np.float64))), 1e-20)))


def noise_of(samples: Array) -> tuple[float, float]:
    """Share of the loud places of a spectrogram that stand alone, and the kurtosis of its powers."""
    _, _, spectra = signal.stft(samples.mean(axis=1), nperseg=N_FFT, noverlap=N_FFT - HOP_LENGTH)
    power = np.abs(spectra) ** 2
    kernel = np.ones((5, 5))
    kernel[1:4, 1:4] = 0.0  # which the window's own lobe fills
    around = signal.fftconvolve(power, kernel / kernel.sum(), mode="same")
    loud = power > power.max() * 10 ** (-RANGE_DB / 10)
    alone = loud & (power > 10 ** (STANDS_OUT_DB / 10) * np.maximum(around, 0.0))
    heard = power[loud]
    moments = [float(np.mean(heard**order)) for order in (2, 4)]
    return float(alone.sum() / max(1, loud.sum())), moments[1] / max(moments[0] ** 2, 1e-30)


def show(name: str, values: list[float], form: str = ".2f") -> str:
    if not values:
        return f"{name}: none"
    mean, low, high = bootstrap_interval(np.array(values), np.arange(len(values)))
    return f"{name}: {mean:{form}} [{low:{form}}, {high:{form}}] (n {len(values)})"


def compare_renders(folder: Path, separator: Separator | None, output: Path | None) -> None:
    found: dict[tuple[str, ...], list[float]] = defaultdict(list)
    songs = []
    spent = heard_seconds = 0.0
    for path in sorted(folder.glob("*.npy")):
        stems = read_stems(path)
        mixture, truths = stems.sum(axis=0), dict(zip((*STEMS, "rest"), stems, strict=True))
        began = time.process_time()
        methods = {"network": separator.separate(mixture, RATE)} if separator else {}
        spent, heard_seconds = spent + time.process_time() - began, heard_seconds + len(mixture) / RATE
        methods["filter"] = filter_stems(mixture)
        methods["nothing"] = dict.fromkeys(STEMS, mixture)
        kind = path.stem.split("-")[0]
        row: dict[str, str | float] = {"song": path.stem}
        for stem in STEMS:
            share = level_db(truths[stem]) - level_db(mixture)
            for method, estimates in methods.items():
                estimate = estimates[stem]
                if share > HEARD_DB:
                    measures = {
                        "SDR": signal_ratio(truths[stem], estimate),
                        "SI-SDR": scale_invariant_ratio(truths[stem], estimate),
                    }
                    row[f"{stem} {method}"] = round(measures["SDR"], 2)
                    for measure, value in measures.items():
                        found[stem, measure, method, "all"].append(value)
                        found[stem, measure, method, kind].append(value)
                elif share < SILENT_DB:
                    found[stem, "silent, dB", method, "all"].append(level_db(estimate) - level_db(mixture))
        songs.append(row)
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    for stem in STEMS:
        for kind in sorted({key[3] for key in found}):
            for measure in ("SDR", "SI-SDR", "silent, dB"):
                for method in ("network", "filter", "nothing"):
                    if (stem, measure, method, kind) in found:
                        print(show(f"{stem}, {kind}, {measure}, {method}", found[stem, measure, method, kind]))
                pair = [found.get((stem, measure, method, kind)) for method in ("network", "filter")]
                if pair[0] and pair[1]:
                    difference = [one - other for one, other in zip(*pair, strict=True)]
                    print(show(f"{stem}, {kind}, {measure}, network - filter", difference))
    if separator:
        print(f"{heard_seconds / spent:.1f} times real time of one core")
    if output:
        output.write_text(json.dumps(songs, indent=1) + "\n")


def choose_cutoff(folder: Path) -> None:
    """SDR of the bass that is all below a frequency but the filter's percussion."""
    values: dict[float, list[float]] = defaultdict(list)
    for path in sorted(folder.glob("*.npy")):
        stems = read_stems(path)
        mixture = stems.sum(axis=0)
        if level_db(stems[1]) - level_db(mixture) > HEARD_DB:
            harmonic = mixture - percussion.separate(mixture)
            for cutoff in CUTOFFS_HZ:
                values[cutoff].append(signal_ratio(stems[1], keep_low(harmonic, cutoff)))
    for cutoff, ratios in values.items():
        print(show(f"{cutoff:g} Hz", ratios), flush=True)


def separate_all(mixture: Array, method: str, separator: Separator) -> dict[str, Array]:
    found = separator.separate(mixture, RATE) if method == "network" else filter_stems(mixture)
    return found | {"rest": mixture - found["drums"] - found["bass"]}


def compare_recordings(folder: Path, separator: Separator, count: int) -> None:
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    paths = [paths[number] for number in np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)]
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for path in paths:
        try:
            song = read_song(path)
        except AudioError:
            continue
        if song.sample_rate != RATE or song.samples.shape[1] != 2 or len(song.samples) < 2 * EXCERPT_SECONDS * RATE:
            continue
        size = round(EXCERPT_SECONDS * RATE)
        start = (len(song.samples) - size) // 2
        mixture = song.samples[start : start + size]
        _, usual = noise_of(mixture)
        for method in ("network", "filter"):
            first = separate_all(mixture, method, separator)
            heard = [stem for stem in STEMS if level_db(first[stem]) - level_db(mixture) > HEARD_DB]
            for stem in STEMS:
                found[method, stem, "level, dB"].append(level_db(first[stem]) - level_db(mixture))
            for stem in heard:
                alone, kurtosis = noise_of(first[stem])
                found[method, stem, "isolated, %"].append(100.0 * alone)
                found[method, stem, "kurtosis"].append(float(np.log(kurtosis / usual)))
            for levels in MIXES:
                known = {stem: sound * 10 ** (levels.get(stem, 0.0) / 20) for stem, sound in first.items()}
                again = separate_all(sum(known.values(), np.zeros_like(mixture)), method, separator)
                for stem in heard:
                    found[method, stem, "again, SDR"].append(signal_ratio(known[stem], again[stem]))
        found["mixture", "", "isolated, %"].append(100.0 * noise_of(mixture)[0])
        print(path.name, flush=True)
    for key in sorted(found):
        print(show(", ".join(key), found[key]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("renders", "recordings", "cutoffs"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("separator", type=Path, nargs="?", help="the packaged one, if none is named")
    parser.add_argument("--count", type=int, default=20, help="of recordings")
    parser.add_argument("--json", type=Path, help="file for the figures of each song")
    arguments = parser.parse_args()
    if arguments.what == "cutoffs":
        choose_cutoff(arguments.folder)
    elif arguments.what == "renders":
        compare_renders(arguments.folder, Separator(arguments.separator), arguments.json)
    else:
        compare_recordings(arguments.folder, Separator(arguments.separator), arguments.count)


if __name__ == "__main__":
    main()
