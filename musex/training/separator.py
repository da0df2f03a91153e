"""Train the separator on rendered scores, whose drums and bass are known.

    python models/render_stems.py STEMS/ …
    python -m musex.training.separator STEMS/ RUN/ --minutes 60

`STEMS/training` and `STEMS/validation` hold what `models/render_stems.py` leaves.
"""

import argparse
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from musex.config import SeparatorConfig
from musex.errors import DatasetError
from musex.prediction.described import SEPARATOR_FILE
from musex.separation.separator import STEMS, group_cells, levels_of, spectra_of
from musex.system.arrays import Array, load_array
from musex.training.networks import keras, tf
from musex.training.networks.separator import build_separator
from musex.training.runs import (
    Progress,
    RunLog,
    export,
    load_best,
    load_state,
    open_run,
    save_best,
    save_settings,
    save_state,
)

Random = np.random.Generator

PARTS = (*STEMS, "rest")  # in the order of the rendered files
THINNED, HEARD = 20, 0.02  # samples that a level is told by, and the least in parts of the loudest
JUDGED = 4  # every so many frames of a window are judged
LEAST_AMPLITUDE = 0.1  # in parts of the mean one
LOGARITHMS = 0.2  # weight of a window's log10 error beside the mean error
LEAST_SHARE = 1e-3  # of the mixture: lesser errors are as good as none
AHEAD = 3  # batches that are drawn before they are asked for


@dataclass(frozen=True)
class SeparatorTrainingConfig:
    """How the separator is fitted; chosen on validation scores (models/log.md)."""

    network: SeparatorConfig = field(default_factory=SeparatorConfig)
    window_frames: int = 192  # 4.5 s
    batch_size: int = 4
    learning_rate: float = 1.5e-3
    last_learning_rate: float = 2e-5
    weight_decay: float = 1e-2
    ema_momentum: float = 0.99
    clip_norm: float = 1.0
    warm_up_batches: int = 100
    epoch_batches: int = 100
    epochs: int = 400
    patience: int = 40
    held_windows: int = 66
    mixed: float = 0.6  # share of windows whose stems come from different songs
    silent: float = 0.12  # of windows without drums, as many without bass, and without the rest
    gain_db: float = 5.0  # standard deviation of a stem's gain
    tilt_db: float = 4.0  # of the knots of a stem's equaliser
    shifted: float = 0.4  # of stems that are played faster and higher, or slower and lower
    shift: float = 0.16  # most by which they are
    shifted_far: float = 0.35  # of drums and of bass among other songs' stems
    far_shift: float = 0.45  # most by which they are
    mono: float = 0.2  # of windows with one channel
    dull: float = 0.2  # of windows without the highest frequencies
    bare: float = 0.05  # of windows that hold drums alone, besides those that are drawn so
    paired: float = 0.07  # of windows that hold drums and bass alone
    leading: float = 0.2  # of windows whose drums are louder
    leading_db: float = 12.0  # by so much at most
    driven: float = 0.2  # of drums that an amplifier overdrives
    echoing: float = 0.25  # of drums that sound in a room
    kinds: tuple[tuple[str, float], ...] = (
        ("modules", 0.38),
        ("accompaniments", 0.26),
        ("midi", 0.1),
        ("patterns", 0.08),
        ("kits", 0.25),
        ("pulseless", 0.02),
    )
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Piece:
    """A rendered score.

    Attributes:
        name: of its file, which begins with its kind.
        stems: int16 (3, frames, 2), mapped from disk: drums, bass and the rest.
        loud: bool (3, seconds), in which seconds each is heard.
    """

    name: str
    stems: Array
    loud: Array

    @property
    def kind(self) -> str:
        return self.name.split("-")[0]


def read_pieces(folder: Path, sample_rate: int) -> list[Piece]:
    """All rendered scores of a folder; raises DatasetError if there is none."""
    pieces = []
    for path in sorted(folder.glob("*.npy")):
        stems = load_array(path, mapped=True)
        if stems is not None and stems.ndim == 3 and stems.shape[0] == len(PARTS) and stems.shape[1] > sample_rate:
            seconds = stems.shape[1] // sample_rate
            thinned = stems[:, : seconds * sample_rate : THINNED].astype(np.float32)
            levels = thinned.reshape(len(PARTS), seconds, -1).std(axis=2)
            pieces.append(Piece(path.stem, stems, levels > HEARD * max(float(levels.max()), 1e-9)))
    if not pieces:
        raise DatasetError(f"{folder} holds no rendered stems: models/render_stems.py makes them")
    return pieces


@dataclass(frozen=True, eq=False)
class Window:
    """What the network hears of some seconds, and what it shall make of them.

    Attributes:
        levels: float32 (frames, cells, 3).
        known: float32 (judged frames, cells, 2): the power of the mixture, and of drums, bass and the rest their
            power and what they share with the mixture. A mask m leaves of a stem s in the mixture x an error of
            |m x - s|², which is m² |x|² - 2 m Re(x s*) + |s|². In parts of the mixture's mean amplitude, squared.
        judged: the first of the judged frames, which are every fourth: neighbours share three quarters of a sample.
    """

    levels: Array
    known: dict[str, Array]
    judged: int


class Windows:
    """Windows for training, drawn without end: every kind of score in its share, stems mixed anew."""

    def __init__(self, pieces: list[Piece], config: SeparatorTrainingConfig) -> None:
        self.pieces, self.config = pieces, config
        self.random = np.random.default_rng(config.seed)
        network = config.network
        self.samples = (config.window_frames - 1) * network.hop_length + network.n_fft
        self.ramp = np.linspace(0.0, 1.0, 512)  # parts of the highest frequency
        kinds, shares = np.array([piece.kind for piece in pieces]), dict(config.kinds)
        seconds = np.array([piece.loud.shape[1] for piece in pieces], float)
        weights = np.array([shares.get(kind, 0.05) / seconds[kinds == kind].sum() for kind in kinds])
        self.chances = [weights * np.array([piece.loud[part].sum() for piece in pieces]) for part in range(len(PARTS))]
        self.chances = [chances / max(float(chances.sum()), 1e-12) for chances in self.chances]

    def cut(self, piece: Piece, part: int, start: float, pace: float) -> Array:
        """A stem from a second on, played at another pace, float32 (samples, 2); silence beyond its ends."""
        rate = self.config.network.sample_rate
        first = round(start * rate)
        size = self.samples if pace == 1.0 else math.ceil(self.samples * pace) + 64
        found = piece.stems[part, max(first, 0) : first + size].astype(np.float32) / np.float32(32768.0)
        if pace != 1.0:
            import soxr

            found = soxr.resample(found, pace, 1.0, quality="LQ")[: self.samples]
        return np.asarray(np.pad(found, ((0, max(0, self.samples - len(found))), (0, 0)))[: self.samples])

    def place(self, part: int) -> tuple[Piece, float]:
        """A piece and a second from which a stem of it is heard soon."""
        random = self.random
        piece = self.pieces[int(random.choice(len(self.pieces), p=self.chances[part]))]
        seconds = np.flatnonzero(piece.loud[part])
        length = self.samples / self.config.network.sample_rate
        start = float(random.choice(seconds)) + random.uniform(-0.8 * length, 0.8)
        return piece, float(
            np.clip(start, 0.0, max(0.0, piece.stems.shape[1] / self.config.network.sample_rate - length))
        )

    def draw(self, judged: int) -> Window:
        """A window: stems of one song or of several, each with a gain, an equaliser and a place in the room."""
        config, network, random = self.config, self.config.network, self.random
        wanted = random.random(len(PARTS)) >= config.silent
        if not wanted.any():
            wanted[:] = True
        alone = random.random()
        if alone < config.bare + config.paired:
            wanted[:] = [part == "drums" or (part == "bass" and alone >= config.bare) for part in PARTS]
        piece, start = self.place(int(random.choice(np.flatnonzero(wanted))))
        mixed, pace = random.random() < config.mixed, self._draw_pace()
        sounds = np.zeros((len(PARTS), self.samples, 2), np.float32)
        mono, turned, dull = random.random() < config.mono, random.random() < 0.5, self._draw_dullness()
        for part in np.flatnonzero(wanted).tolist():
            if mixed:
                (piece, start), pace = self.place(part), self._draw_pace(far=PARTS[part] in STEMS)
            sound = self.cut(piece, part, start, pace) @ self._draw_room(mono)
            if PARTS[part] == "drums" and random.random() < config.driven:
                sound = drive(sound, random.uniform(1.0, 6.0))
            spectrum = np.fft.rfft(sound[:, ::-1] if turned else sound, axis=0)
            tone = np.interp(np.linspace(0.0, 1.0, len(spectrum)), self.ramp, self._draw_tone(mixed) * dull)
            spectrum *= tone[:, None].astype(np.float32)
            if PARTS[part] == "drums":
                spectrum *= self._draw_drums(mono)
            sounds[part] = np.fft.irfft(spectrum, self.samples, axis=0)
        return finish_window(sounds, network, gain=float(10 ** (random.normal(0.0, 4.0) / 20.0)), judged=judged)

    def _draw_drums(self, mono: bool) -> Array:
        """What drums alone go through, by frequency, (1 or 2,) or (frequencies, 1 or 2): a gain, a room's echoes."""
        config, random = self.config, self.random
        gain = random.uniform(0.0, config.leading_db) * (random.random() < config.leading)
        response = np.zeros((self.samples, 1 if mono else 2), np.float32)
        response[0] = 10 ** (gain / 20.0)
        if random.random() >= config.echoing:
            return np.asarray(response[0])
        rate = config.network.sample_rate
        length = round(random.uniform(0.1, 0.8) * rate)
        first = round(random.uniform(0.001, 0.03) * rate)
        echoes = random.standard_normal((length, response.shape[1]), dtype=np.float32)
        echoes *= np.exp(np.linspace(0.0, -6.9, length, dtype=np.float32))[:, None]  # by 60 dB
        share = 10 ** (random.uniform(-15.0, 0.0) / 20.0)
        echoes *= np.float32(share * response[0, 0]) / np.sqrt(np.sum(np.square(echoes), axis=0))
        size = min(length, self.samples - first)
        response[first : first + size] += echoes[:size]
        return np.asarray(np.fft.rfft(response, axis=0))

    def _draw_dullness(self) -> Array:
        """Gain at each frequency of `ramp`: of a song without the highest frequencies, or 1."""
        gains = np.ones(len(self.ramp), np.float32)
        if self.random.random() < self.config.dull:
            top = self.random.uniform(0.2, 0.9)
            gains[self.ramp > top] = 10 ** self.random.uniform(-4.0, -1.5)
        return gains

    def _draw_pace(self, *, far: bool = False) -> float:
        config, random = self.config, self.random
        if far and random.random() < config.shifted_far:
            return float(np.exp(random.uniform(-config.far_shift, config.far_shift)))
        shift = random.uniform(-config.shift, config.shift)
        return float(np.exp(shift)) if random.random() < config.shifted else 1.0

    def _draw_tone(self, mixed: bool) -> Array:
        """Gain at each frequency of `ramp`: a stem's level, and an equaliser of six knots at equal steps of pitch."""
        config, random = self.config, self.random
        knots = random.normal(0.0, config.tilt_db, 6) * (random.random() < 0.7)
        pitch = np.log2(1.0 + 1023.0 * self.ramp) / 10.0
        gain = random.normal(0.0, config.gain_db if mixed else 0.6 * config.gain_db)
        gains = 10 ** ((np.interp(pitch, np.linspace(0.0, 1.0, 6), knots) + gain) / 20.0)
        return np.asarray(gains, np.float32)

    def _draw_room(self, mono: bool) -> Array:
        """How a stem's channels become the mixture's, (2, 2): as they are, nearer to one another, or to one side."""
        random, even = self.random, np.full((2, 2), 0.5)
        if mono:
            return even.astype(np.float32)
        if random.random() < 0.6:
            return np.eye(2, dtype=np.float32)
        width, side = random.uniform(0.0, 1.0), random.uniform(-0.6, 0.6) * (random.random() < 0.5)
        return np.asarray((even + width * (np.eye(2) - even)) * [1.0 - side, 1.0 + side], np.float32)


def drive(sound: Array, factor: float) -> Array:
    """A sound whose peaks an amplifier rounds off, as loud as before."""
    peak = max(float(np.abs(sound).max(initial=0.0)), 1e-9)
    bent = np.tanh(sound * np.float32(factor / peak))
    return np.asarray(bent * np.float32(np.sqrt(np.mean(np.square(sound)) / max(np.mean(np.square(bent)), 1e-12))))


def finish_window(sounds: Array, network: SeparatorConfig, *, gain: float = 1.0, judged: int = 0) -> Window:
    """A window from its stems (3, samples, 2), heard `gain` times as loud; every fourth frame from `judged` on is."""
    mixture = spectra_of(sounds.sum(axis=0), network.n_fft, network.hop_length)
    first, hop = judged * network.hop_length, JUDGED * network.hop_length
    spectra = np.stack([spectra_of(sound[first:], network.n_fft, hop) for sound in sounds])[:, :, : network.bins]
    heard = mixture[judged::JUDGED, : network.bins]
    known = {"mixture": multiply(heard, heard)}
    for part, stem in zip(PARTS, spectra, strict=True):
        known |= {f"{part}_power": multiply(stem, stem), f"{part}_shared": multiply(heard, stem)}
    known = {name: group_cells(values, network) for name, values in known.items()}
    scale = max(float(np.mean(np.sqrt(known["mixture"]))), 1e-9) ** -2
    rms = max(float(np.sqrt(np.mean(np.square(sounds.sum(axis=0))))), 1e-6)
    return Window(
        levels_of(mixture, rms / gain, network), {name: values * scale for name, values in known.items()}, judged
    )


def held_windows(pieces: list[Piece], config: SeparatorTrainingConfig) -> list[Window]:
    """Windows of validation pieces as they are, spread over them and over their times."""
    random = np.random.default_rng(0)
    cutter = Windows(pieces, config)
    windows = []
    for number in range(config.held_windows):
        piece = pieces[number % len(pieces)]
        length = piece.stems.shape[1] / config.network.sample_rate
        start = random.uniform(0.0, max(0.0, length - cutter.samples / config.network.sample_rate))
        sounds = np.stack([cutter.cut(piece, part, start, 1.0) for part in range(len(PARTS))])
        windows.append(finish_window(sounds, config.network))
    return windows


def batch_of(windows: list[Window]) -> tuple[Array, dict[str, Array]]:
    """Levels (B, frames, cells, 3), and what is known, each (B, judged frames, cells, 2), of windows judged alike."""
    known = {name: np.stack([window.known[name] for window in windows]) for name in windows[0].known}
    judged = np.arange(windows[0].judged, len(windows[0].levels), JUDGED).astype(np.int32)
    return np.stack([window.levels for window in windows]), known | {"judged": judged}


def multiply(one: Array, other: Array) -> Array:
    """The real part of spectra times the conjugates of others: several times as fast as in complex numbers."""
    return np.asarray(one.real * other.real + one.imag * other.imag)


def judge_masks(network: Any, levels: Any, judged: Any, *, training: bool) -> dict[str, Any]:
    """Masks of the judged frames alone, (B, judged frames, cells, 2): all frames are heard, but few need a head."""
    _, body, head = network.layers
    known = [tf.gather(values, judged, axis=1) for values in body(levels, training=training)]
    masks: dict[str, Any] = head(known)
    return masks


def errors_of(masks: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Squared error of each stem in the judged frames, (B, judged frames, cells, 2)."""
    masks = masks | {"rest": 1.0 - masks["drums"] - masks["bass"]}
    return {
        part: tf.maximum(
            masks[part] * (masks[part] * known["mixture"] - 2.0 * known[f"{part}_shared"]) + known[f"{part}_power"], 0.0
        )
        for part in PARTS
    }


def loss_of(masks: dict[str, Any], known: dict[str, Any]) -> Any:
    """Mean squared error of the masks, (): each place weighs as much as the mixture's amplitude there.

    Absolute errors would be least where masks of what is usually the weaker stem are 0 throughout. Added to it is the
    logarithm of each window's error in parts of the mixture: in the mean alone, windows that are separated well already
    would count for nothing, however much better they could be.
    """
    weight = 1.0 / (tf.sqrt(known["mixture"]) + LEAST_AMPLITUDE)
    errors = list(errors_of(masks, known).values())
    whole = tf.maximum(tf.reduce_mean(known["mixture"], axis=(1, 2, 3)), 1.0)  # less only where all is silent
    shares = [tf.reduce_mean(error, axis=(1, 2, 3)) / whole for error in errors]
    logarithms = tf.add_n([tf.reduce_mean(tf.math.log(share + LEAST_SHARE)) for share in shares]) / math.log(10.0)
    return tf.add_n([tf.reduce_mean(error * weight) for error in errors]) + LOGARITHMS * logarithms


def measure(network: Any, windows: list[Window], batch_size: int) -> dict[str, float]:
    """The loss on windows, and the mean SDR in dB of drums and bass over those in which they are heard."""
    losses: list[tuple[float, int]] = []
    ratios: dict[str, list[float]] = {stem: [] for stem in STEMS}
    judge = tf.function(lambda levels, known: _judge(network, levels, known), autograph=False)
    for start in range(0, len(windows), batch_size):
        levels, known = batch_of(windows[start : start + batch_size])
        loss, errors = judge(levels, known)
        losses.append((float(loss), len(levels)))
        for stem in STEMS:
            power = known[f"{stem}_power"].sum(axis=(1, 2, 3))
            heard = power > 0.003 * known["mixture"].sum(axis=(1, 2, 3))
            ratios[stem] += (10.0 * np.log10(power[heard] / np.maximum(errors[stem].numpy()[heard], 1e-9))).tolist()
    total = sum(count for _, count in losses)
    found = {"validation": sum(loss * count for loss, count in losses) / total}
    return found | {f"{stem}_sdr": float(np.mean(values)) if values else 0.0 for stem, values in ratios.items()}


def _judge(network: Any, levels: Any, known: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    masks = judge_masks(network, levels, known["judged"], training=False)
    errors = {part: tf.reduce_sum(error, axis=(1, 2, 3)) for part, error in errors_of(masks, known).items()}
    return loss_of(masks, known), errors


def draw_batches(windows: Windows, count: int) -> Iterator[tuple[Array, dict[str, Array]]]:
    """Batches, drawn by a thread while the network computes, in the same order whatever their times."""
    ready: queue.Queue[tuple[Array, dict[str, Array]] | BaseException] = queue.Queue(AHEAD)

    def draw() -> None:
        try:
            for _ in range(count):
                judged = int(windows.random.integers(JUDGED))
                ready.put(batch_of([windows.draw(judged) for _ in range(windows.config.batch_size)]))
        except Exception as error:  # noqa: BLE001 - raised where the batch is asked for
            ready.put(error)

    threading.Thread(target=draw, daemon=True).start()
    for _ in range(count):
        batch = ready.get()
        if isinstance(batch, BaseException):
            raise batch
        yield batch


def train_separator(
    stems: Path,
    run: Path,
    config: SeparatorTrainingConfig | None = None,
    *,
    minutes: float | None = None,
    resume: bool = False,
    start: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
) -> float:
    """Train the separator and leave `separator.tflite` and `.json` in `run`; returns the best loss on validation.

    The learning rate falls to its last value by `minutes`. With `resume` a stopped run goes on from its last epoch.
    `start` is a run whose best weights a new one begins with.

    Raises:
        DatasetError: there are no stems to learn from, or none held out; `run` holds another run, or `start` none of
            this network; or the loss is no number any more.
    """
    config = config or SeparatorTrainingConfig()
    rate = config.network.sample_rate
    learned, held = (read_pieces(stems / where, rate) for where in ("training", "validation"))
    open_run(run, "separator", resume=resume)
    settings = {"network": "separator", "config": asdict(config.network), "recipe": asdict(config)}
    settings["hours"] = {
        "training": sum(piece.stems.shape[1] for piece in learned) / rate / 3600,
        "validation": sum(piece.stems.shape[1] for piece in held) / rate / 3600,
    }
    save_settings(run, settings)
    examined = held_windows(held, config)

    keras.utils.set_random_seed(config.seed)
    network = build_separator(config.network)
    optimizer = keras.optimizers.AdamW(
        config.learning_rate, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm
    )
    optimizer.build(network.trainable_variables)
    averaged = build_separator(config.network)
    if start and not load_best(start, network.variables):
        raise DatasetError(f"{start} holds no weights of this network: name a run of the same configuration")
    averaged.set_weights(network.get_weights())
    variables = [*network.variables, *averaged.variables, *optimizer.variables]
    progress = load_state(run, variables, averaged)

    def fit_batch(levels: Any, known: dict[str, Any], momentum: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(judge_masks(network, levels, known["judged"], training=True), known)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        for average, variable in zip(averaged.variables, network.variables, strict=True):
            average.assign(momentum * average + (1.0 - momentum) * variable)
        return loss

    learn = tf.function(fit_batch, autograph=False)
    log, began = RunLog(run), time.monotonic() - progress.seconds
    windows = Windows(learned, config)
    for epoch in range(progress.epochs, config.epochs):
        windows.random = np.random.default_rng([config.seed, epoch])
        losses: list[float] = []
        share = _share(began, minutes, epoch / config.epochs)
        if share >= 1.0 or epoch - progress.best_epoch > config.patience:
            break
        for levels, known in draw_batches(windows, config.epoch_batches):
            share = _share(began, minutes, (epoch + len(losses) / config.epoch_batches) / config.epochs)
            step = epoch * config.epoch_batches + len(losses)
            fall = 0.5 + 0.5 * math.cos(math.pi * share)
            optimizer.learning_rate = min(1.0, (step + 1) / config.warm_up_batches) * (
                config.last_learning_rate + fall * (config.learning_rate - config.last_learning_rate)
            )
            momentum = min(config.ema_momentum, (step + 1) / (step + 10))
            losses.append(float(learn(levels, known, tf.constant(momentum, tf.float32))))
        if not math.isfinite(sum(losses)):
            raise DatasetError(f"the loss in epoch {epoch} is no number: go on from the last one with another seed")
        found = measure(averaged, examined, config.batch_size)
        if found["validation"] < progress.best:
            save_best(run, averaged.variables)
        progress = progress.after(found["validation"], time.monotonic() - began)
        row = {"epoch": epoch, "seconds": round(progress.seconds, 1), "loss": float(np.mean(losses)), **found}
        log.add(row)
        save_state(run, variables, progress)
        if on_epoch:
            on_epoch(row)
    load_best(run, averaged.variables)
    export_separator(averaged, config.network, run / SEPARATOR_FILE, settings | describe_progress(progress, averaged))
    return progress.best


def _share(began: float, minutes: float | None, done: float) -> float:
    """How much of the training is over, by its epochs or its time."""
    return min(1.0, max(done, (time.monotonic() - began) / (60.0 * minutes) if minutes else 0.0))


def describe_progress(progress: Progress, network: Any) -> dict[str, Any]:
    """What the exported file's JSON says of how far the training went."""
    return {
        "weights": network.count_params(),
        "epochs": progress.epochs,
        "best_epoch": progress.best_epoch,
        "minutes": round(progress.seconds / 60.0, 1),
        "loss": progress.best,
    }


def export_separator(
    network: Any, config: SeparatorConfig, path: Path, settings: dict[str, Any], *, packed: bool = True
) -> Path:
    """Write the network for blocks of one length; packed, its weights are float16 and half as large."""
    fixed = build_separator(config, frames=config.block_frames, batch_size=1)
    fixed.set_weights(network.get_weights())
    halves = {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": {"supported_types": [tf.float16]}}
    return export(fixed, path, settings, **halves if packed else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stems", type=Path, help="folder of what models/render_stems.py leaves")
    parser.add_argument("run", type=Path, help="folder to write separator.tflite to")
    parser.add_argument("--resume", action="store_true", help="go on where this run was stopped")
    parser.add_argument("--start", type=Path, help="a run whose best weights this one begins with")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=SeparatorTrainingConfig.learning_rate, help="of learning")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = SeparatorTrainingConfig(seed=arguments.seed, learning_rate=arguments.rate)

    def tell(row: dict[str, float]) -> None:
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)  # noqa: T201

    train_separator(
        arguments.stems,
        arguments.run,
        config,
        minutes=arguments.minutes,
        resume=arguments.resume,
        start=arguments.start,
        on_epoch=tell,
    )


if __name__ == "__main__":
    main()
