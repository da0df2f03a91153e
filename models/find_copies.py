"""Find recordings that are in both of two sets of tracks: what is trained on must not be measured on.

    python models/find_copies.py MUSIC/ --validation PACKAGE …     # within one folder, by package
    python models/find_copies.py MUSIC/ --other EVALUATION/        # between two folders

Every 20 s of the held tracks 5 s are compared with all places of the other tracks, by log-mel without their common
level. Below about 2.5 dB (root mean square) it is the same recording; different music is above 4.
"""

import argparse
from pathlib import Path

import numpy as np

from musex.config import FEATURES
from musex.training.dataset import Track, load_tracks, split_tracks

EXCERPT_STEPS, STRIDE_STEPS, EVERY_SECONDS = 50, 5, 20
SUSPICIOUS_DB = 3.5


def log_mel(track: Track) -> np.ndarray:
    """The track's log-mel (steps, n_mels), float32."""
    return np.asarray(track.features[:, : FEATURES.n_mels], np.float32)


def excerpts(rows: np.ndarray) -> np.ndarray:
    """Excerpts of a track without their mean level: (excerpts, steps / stride, n_mels); silent ones are left out."""
    starts = range(0, len(rows) - EXCERPT_STEPS, EVERY_SECONDS * FEATURES.steps_per_second)
    found = [rows[start : start + EXCERPT_STEPS : STRIDE_STEPS] for start in starts]
    sounding = [part - part.mean() for part in found if part.mean() > -85.0 and part.std(axis=0).mean() > 1.5]
    return np.array(sounding).reshape(-1, EXCERPT_STEPS // STRIDE_STEPS, rows.shape[1])


def nearest(wanted: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Root mean square distance (dB) of each excerpt to the most alike place of a track: (excerpts,)."""
    count = len(rows) - EXCERPT_STEPS
    if count < 1:
        return np.full(len(wanted), np.inf)
    offsets = range(0, EXCERPT_STEPS, STRIDE_STEPS)
    level = np.mean([rows[offset : offset + count].mean(axis=1) for offset in offsets], axis=0)[:, None]
    total = np.sum(wanted**2, axis=(1, 2))[None] + np.zeros((count, 1), np.float32)
    for number, offset in enumerate(offsets):
        part = rows[offset : offset + count] - level
        total += np.sum(part**2, axis=1)[:, None] - 2.0 * part @ wanted[:, number].T
    return np.asarray(np.sqrt(np.maximum(total.min(axis=0), 0.0) / wanted[0].size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("music", type=Path)
    parser.add_argument("--validation", action="append", default=[], metavar="PACKAGE")
    parser.add_argument("--other", type=Path, help="look for copies of these tracks instead")
    options = parser.parse_args()
    learned, held = split_tracks(load_tracks(options.music), validation=tuple(options.validation))
    if options.other is not None:
        learned, held = [*learned, *held], load_tracks(options.other)
    parts = [excerpts(log_mel(track)) for track in held]
    owners = np.repeat(np.arange(len(held)), [len(part) for part in parts])
    wanted = np.concatenate(parts)
    best, where = np.full(len(wanted), np.inf), np.zeros(len(wanted), int)
    for number, track in enumerate(learned):
        distance = nearest(wanted, log_mel(track))
        closer = distance < best
        best[closer], where[closer] = distance[closer], number
    for number, track in enumerate(held):
        own = np.flatnonzero(owners == number)
        lowest = own[best[own].argmin()] if len(own) else None
        if lowest is not None and best[lowest] < SUSPICIOUS_DB:
            alike = int(np.sum(best[own] < SUSPICIOUS_DB))
            print(
                f"{best[lowest]:5.2f} dB, {alike} of {len(own)} excerpts: {track.path} ~ {learned[where[lowest]].path}"
            )


if __name__ == "__main__":
    main()
