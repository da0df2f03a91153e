"""Extend a song from Python: `python examples/extend_in_python.py [SONG] [FOLDER]`."""

import sys
from pathlib import Path

import numpy as np
from pydub import AudioSegment

import musex


def main(song_path: Path, folder: Path) -> None:
    """Extend one song in every form there is; writes two files to `folder`."""
    # A file in memory: samples, their rate, and the plan that says what is played when.
    longer = musex.extend(song_path, seconds=120)
    print(f"{longer.seconds:.1f} s, {len(longer.plan.seams)} seams")
    for seam in longer.plan.seams:
        print(f"  at {seam.at / longer.sample_rate:6.2f} s: from {seam.leave} to {seam.enter}")

    # An array with its rate, here a mono mix, and a fixed seed: the same call gives the same result.
    song = musex.read_song(song_path)
    mono = song.samples.mean(axis=1)
    first, second = (musex.extend(mono, sample_rate=song.sample_rate, seconds=45, seed=7) for _ in range(2))
    print("the same seed, the same result:", np.array_equal(first.samples, second.samples))

    # A pydub segment to a pydub segment. The model is loaded once and used again.
    model = musex.load_model()
    samples = (song.samples * 32767).astype(np.int16)
    segment = AudioSegment(samples.tobytes(), frame_rate=song.sample_rate, sample_width=2, channels=song.channels)
    extended = musex.extend(segment, seconds=60, model=model).segment
    extended.fade_out(3000).export(folder / "faded.wav", format="wav").close()

    # From file to file, in memory that does not grow with the length.
    musex.extend_file(song_path, folder / "longer.mp3", seconds=150, model=model, force=True)
    print(f"wrote {folder / 'faded.wav'} and {folder / 'longer.mp3'}")


if __name__ == "__main__":
    song = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "groove.mp3"
    main(song, Path(sys.argv[2]) if len(sys.argv) > 2 else Path.cwd())
