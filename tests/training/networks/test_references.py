"""The generative references: training by the paper's recipe, export, and what extends and draws by them."""

import csv
import json
import logging
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile

import musex
from musex.audio.song import song_from_array
from musex.cli import app as cli
from musex.config import LSTM_UNITS, Units, WaveformConfig
from musex.errors import DatasetError, ModelError, MusexError
from musex.prediction.model import load_model
from musex.rendering.generative import CROSSFADE_SECONDS, WaveformModel, blend, continue_song

pytest.importorskip("tensorflow")
from musex.training import runs
from musex.training import waveform as references
from musex.training.networks import keras
from musex.training.networks.adam import Adam
from musex.training.networks.paper import WeightedSum
from musex.training.runs import Checkpoints, Progress, export
from musex.training.train import draw_losses
from musex.training.waveform import BUILDERS, LEARNERS, ReferenceConfig, draw_tracks, load_clip, train_reference

Array = np.ndarray
TINY = WaveformConfig(sample_rate=1000, context_seconds=3, horizon_seconds=2, widths=(4, 6), units=5)
OWN = replace(TINY, hidden="own")
BRIEF = ReferenceConfig(training_tracks=4, validation_tracks=2, batch_size=2, validation_batch_size=2, epochs=2)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., Array]) -> Path:
    """Eight tracks in four groups, one of them too short and one silent in its second part."""
    folder = tmp_path_factory.mktemp("music")
    for number in range(8):
        path = folder / f"group{number % 4}" / f"track{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, make_song(6.0, 8000, 1, seed=number) * (0.2 + 0.1 * number), 8000)
    soundfile.write(folder / "group0" / "short.wav", make_song(4.5, 8000, 1), 8000)
    fading = make_song(6.0, 8000, 1)
    fading[20_000:] = 0.0
    soundfile.write(folder / "group1" / "fading.wav", fading, 8000)
    (folder / "group2" / "broken.mp3").write_text("not music")
    return folder


@pytest.fixture(scope="module", params=["paper", "own", "lstm"])
def run(request: pytest.FixtureRequest, music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    network, model = ("paper", OWN) if request.param == "own" else (request.param, TINY)
    folder = tmp_path_factory.mktemp(network)
    path = train_reference(music, folder, network=network, model=model, config=BRIEF)
    assert path == folder / f"{network}.tflite"
    return folder


def model_of(run: Path) -> WaveformConfig:
    model = load_model(run)
    assert isinstance(model, WaveformModel)
    return model.config


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "losses.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_paper_s_recipe_is_the_default() -> None:
    recipe = ReferenceConfig()
    assert (recipe.training_tracks, recipe.validation_tracks, recipe.epochs) == (120, 50, 200)
    assert (recipe.batch_size, recipe.validation_batch_size, recipe.learning_rate) == (20, 10, 0.01)


@pytest.mark.parametrize(("units", "weights"), [("shared", 38_699_364), ("own", 399_890_460)])
def test_both_networks_have_as_many_weights(units: Units, weights: int) -> None:
    small, large = (WaveformConfig(widths=widths, hidden=units) for widths in ((1, 2), (2, 2)))
    per_width = BUILDERS["paper"](large).count_params() - BUILDERS["paper"](small).count_params()
    assert per_width == (3 if units == "shared" else 31) * (22_050 + 1 + 4 + 2)  # weights, bias, BatchNormalization
    lstm = LSTM_UNITS[units]
    parts = (4 * lstm * (22_050 + lstm + 1), 4 * lstm * (2 * lstm + 1), (lstm + 1) * 22_050)
    assert sum(parts) == pytest.approx(weights, rel=0.005)


def test_the_default_networks_are_the_paper_s_size() -> None:
    paper, lstm = (BUILDERS[name](WaveformConfig()) for name in ("paper", "lstm"))
    assert paper.output_shape == lstm.output_shape == (None, 10, 22_050)
    assert paper.count_params() == 38_699_364
    assert lstm.count_params() == pytest.approx(paper.count_params(), rel=0.005)


def test_own_units_have_hidden_layers_of_their_own() -> None:
    shared, own = (BUILDERS["paper"](model) for model in (TINY, OWN))
    names = [layer.name for layer in own.layers if hasattr(layer, "layers")]
    assert names == ["encoder_0", "encoder_1", "encoder_2", "context", "decoder_0", "decoder_1"]
    assert [layer.name for layer in shared.layers if hasattr(layer, "layers")] == ["encoder", "context", "decoder"]
    hidden = own.get_layer("context").count_params()
    assert own.count_params() - shared.count_params() == 3 * hidden
    kernels = [own.get_layer(name).get_weights()[0] for name in names]
    assert all(not np.array_equal(a, b) for a, b in combinations(kernels, 2))


def test_an_lstm_is_trained_as_a_loop_and_exported_without_one() -> None:
    whole, looped = BUILDERS["lstm"](TINY), LEARNERS["lstm"](TINY)
    looped.set_weights(whole.get_weights())
    heard = np.random.default_rng(0).standard_normal((2, 3, 1000)).astype(np.float32)
    np.testing.assert_allclose(whole(heard), looped(heard), atol=1e-6)


def test_a_large_network_s_states_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, saved = [0.0], []

    def save(run: Path, variables: object, progress: Progress) -> None:
        now[0] += 30.0
        saved.append(progress.epochs)

    monkeypatch.setattr(runs, "save_state", save)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, [])
    for epoch in range(1, 101):
        now[0] += 20.0
        checkpoints.save(Progress(epoch), last=epoch == 100)
    assert saved == [1, 31, 61, 91, 100]


def test_a_second_s_own_unit_changes_that_second_and_what_hears_it() -> None:
    network = BUILDERS["paper"](OWN)
    heard = np.random.default_rng(0).standard_normal((1, 3, 1000)).astype(np.float32)
    before = np.asarray(network(heard, training=False))
    bias = network.get_layer("decoder_1").weights[-1]
    bias.assign(bias.numpy() + 1.0)
    after = np.asarray(network(heard, training=False))
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert np.abs(after[:, 1] - before[:, 1]).mean() > 0.1


def test_a_model_described_before_there_was_a_choice_shares(run: Path, tmp_path: Path) -> None:
    for file in run.glob(f"{load_model(run).name}.*"):
        shutil.copy(file, tmp_path)
    described = next(tmp_path.glob("*.json"))
    content = json.loads(described.read_text())
    del content["model"]["hidden"]
    described.write_text(json.dumps(content))
    assert model_of(tmp_path).hidden == "shared"


def test_tracks_are_held_out_by_folder_and_too_short_or_silent_ones_left_out(music: Path) -> None:
    learned, held = draw_tracks(music, TINY, BRIEF)
    assert (len(learned), len(held)) == (4, 2)
    assert not {track.group for track in learned} & {track.group for track in held}
    drawn = {track.path.name for track in (*learned, *held)}
    assert not drawn & {"short.wav", "fading.wav", "broken.mp3"}
    _, held = draw_tracks(music, TINY, BRIEF, validation=("group3",))
    assert {track.group for track in held} == {"group3"}


def test_silence_scores_one(music: Path) -> None:
    learned, _ = draw_tracks(music, TINY, BRIEF)
    clip = load_clip(learned[0], TINY, BRIEF)
    assert clip is not None
    assert clip.shape == (5, 1000)
    for part in (clip[:3], clip[3:]):
        assert part.mean() == pytest.approx(0.0, abs=1e-5)
        assert np.mean(part**2) == pytest.approx(1.0, abs=1e-4)


def test_a_run_leaves_losses_and_settings(run: Path) -> None:
    rows = rows_of(run)
    pace = ["samples_per_second", "waiting_share"]
    assert list(rows[0]) == ["epoch", "loss", "validation_loss", "silence", "seconds", *pace, "peak_memory_mb"]
    assert all(float(row[pace[0]]) > 0 and 0 <= float(row[pace[1]]) < 1 for row in rows)
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert {float(row["silence"]) for row in rows} == {1.0}
    assert float(rows[1]["seconds"]) >= float(rows[0]["seconds"]) > 0
    assert float(rows[0]["peak_memory_mb"]) > 100
    settings = json.loads((run / "config.json").read_text())
    assert settings["network"] == run.name.rstrip("0123456789")
    assert not set(settings["training"]["groups"]) & set(settings["validation"]["groups"])
    assert draw_losses(run).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "config"), [("paper", TINY), ("paper", OWN), ("lstm", TINY)])
def test_the_exported_file_equals_the_network(name: str, config: WaveformConfig, tmp_path: Path) -> None:
    network = BUILDERS[name](config)
    random = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(weight.numpy() + 0.03 * random.random(weight.shape))  # variances stay above zero
    export(network, tmp_path / f"{name}.tflite", {"network": name, "model": vars(config)})
    heard = random.standard_normal(3000).astype(np.float32)
    heard = (heard - heard.mean()) / heard.std()
    model = load_model(tmp_path)
    assert model.config == config
    expected = np.asarray(network(heard.reshape(1, 3, 1000), training=False)).reshape(-1)
    assert np.std(expected) > 0.01
    np.testing.assert_allclose(model.predict(heard), expected, atol=1e-4)


def test_resumed_training_ends_at_the_same_weights(run: Path, music: Path, tmp_path: Path) -> None:
    network = json.loads((run / "config.json").read_text())["network"]
    shorter = replace(BRIEF, epochs=1)
    train_reference(music, tmp_path, network=network, model=model_of(run), config=shorter)
    train_reference(music, tmp_path, network=network, model=model_of(run), config=BRIEF, resume=True)
    with np.load(run / "state.npz") as whole, np.load(tmp_path / "state.npz") as resumed:
        for name in set(whole.files) - {"progress"}:
            np.testing.assert_allclose(whole[name], resumed[name], rtol=1e-4, atol=1e-5, err_msg=name)
    losses = [np.array([float(row["validation_loss"]) for row in rows_of(folder)]) for folder in (run, tmp_path)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_minutes_bound_a_run(music: Path, tmp_path: Path) -> None:
    train_reference(music, tmp_path, network="lstm", model=TINY, config=replace(BRIEF, epochs=50), minutes=1e-4)
    assert len(rows_of(tmp_path)) == 1
    assert isinstance(load_model(tmp_path), WaveformModel)


def test_runs_are_neither_overwritten_nor_mixed_up(run: Path, music: Path) -> None:
    name = json.loads((run / "config.json").read_text())["network"]
    with pytest.raises(DatasetError, match="holds a run already"):
        train_reference(music, run, network=name, model=TINY, config=BRIEF)
    other = "lstm" if name == "paper" else "paper"
    with pytest.raises(DatasetError, match=f"holds a run of {name}, not of {other}"):
        train_reference(music, run, network=other, model=TINY, config=BRIEF, resume=True)


def test_too_little_music_is_refused(music: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    shutil.copy(music / "group0" / "short.wav", tmp_path / "a" / "one.wav")
    shutil.copy(music / "group0" / "short.wav", tmp_path / "a" / "two.wav")
    with pytest.raises(DatasetError, match="that last 5 s"):
        draw_tracks(tmp_path, TINY, BRIEF)


@pytest.mark.parametrize(("suffix", "seconds"), [(".wav", 25.0), (".mp3", 11.3), (".flac", 6.05)])
def test_extend_plays_the_song_and_then_what_is_predicted(
    run: Path, wav_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, seconds: float
) -> None:
    output = tmp_path / f"longer{suffix}"
    options = ["--seconds", str(seconds), "--model", str(run), "--seed", "3", "-o", str(output)]
    assert cli.run(["extend", str(wav_path), *options]) == 0
    printed = capsys.readouterr()
    assert "prediction" in printed.out
    assert "seam" not in printed.out
    made, rate = soundfile.read(output, dtype="float32")
    assert (rate, made.shape[1]) == (44_100, 2)
    assert len(made) / rate == pytest.approx(seconds, abs=0.1)
    if suffix == ".mp3":
        return
    source, _ = soundfile.read(wav_path, dtype="float32")
    if seconds < 6.09:
        np.testing.assert_array_equal(made, source)
        assert printed.err == ""
        return
    assert printed.err.count("\n") == 1
    assert "ends in a fade" in printed.err
    start = len(source) - round(CROSSFADE_SECONDS * rate)
    np.testing.assert_array_equal(made[:start], source[:start])
    np.testing.assert_array_equal(made[len(source) :, 0], made[len(source) :, 1])
    assert np.abs(made[-20:]).max() < 0.01
    again = tmp_path / "again.wav"
    assert cli.run(["extend", str(wav_path), *options[:-1], str(again), "--quiet"]) == 0
    assert again.read_bytes() == output.read_bytes()


def test_extending_in_memory_gives_the_same_and_counts_predictions(run: Path, make_song: Callable[..., Array]) -> None:
    song = make_song(6.0, 22_050, 1)
    longer = musex.extend(song, sample_rate=22_050, seconds=14.0, model=run, ending="cut")
    assert longer.samples.shape == (14 * 22_050, 1)
    assert longer.plan.seconds == 14.0
    # 8 s after the song and the crossfade before its end, by predictions of 2 s that overlap by it.
    assert longer.plan.predictions == 5
    assert longer.plan.model["name"] in ("paper", "lstm")
    shorter = musex.extend(song, sample_rate=22_050, seconds=5.0, model=run, ending="cut")
    np.testing.assert_array_equal(shorter.samples[: 4 * 22_050], song[: 4 * 22_050])
    assert len(shorter.samples) == 5 * 22_050


def test_as_many_predictions_are_made_as_are_counted(run: Path, make_song: Callable[..., Array]) -> None:
    class Counting(WaveformModel):
        calls = 0

        def predict(self, samples: Array, *, level: float | None = None) -> Array:
            self.calls += 1
            return super().predict(samples, level=level)

    loaded = load_model(run)
    assert isinstance(loaded, WaveformModel)
    song = song_from_array(make_song(6.0, 1000 * 8, 2), 8000)
    for seconds in (7.0, 7.99, 8.5, 9.9, 30.0):
        model = Counting(loaded.path, loaded.config, loaded.settings)
        plan, blocks = continue_song(song, model, seconds=seconds)
        assert sum(map(len, blocks)) == seconds * 8000
        assert plan.predictions == pytest.approx(model.calls, abs=1)


def test_no_plan_and_no_outro(run: Path, wav_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MusexError, match="no plan to keep"):
        musex.extend_file(wav_path, tmp_path / "a.wav", seconds=9, model=run, plan_path=tmp_path / "plan.json")
    assert not list(tmp_path.iterdir())
    with caplog.at_level(logging.WARNING, "musex"):
        musex.extend_file(wav_path, tmp_path / "a.wav", seconds=9, model=run, ending="fade")
    assert not caplog.records
    with pytest.raises(MusexError, match="avoid"):
        musex.extend(wav_path, seconds=9, model=run, avoid=((1.0, 2.0),))


def test_crossfades_of_equal_sides_change_nothing() -> None:
    side = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 2)).astype(np.float32)
    np.testing.assert_allclose(blend(side, side), side, atol=1e-6)


def test_spectrogram_draws_the_predicted_waveform(
    run: Path, wav_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "figure.png"
    assert cli.run(["spectrogram", str(wav_path), "--model", str(run), "-o", str(figure)]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "mean absolute error" in capsys.readouterr().out


def damage_description(run: Path) -> None:
    path = next(run.glob("*.tflite")).with_suffix(".json")
    path.write_text(path.read_text().replace('"context_seconds": 3', '"context_seconds": 0'))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no model at": lambda run: next(run.glob("*.tflite")).unlink(),
    "a model is both files": lambda run: next(run.glob("*.tflite")).with_suffix(".json").unlink(),
    "is damaged": lambda run: next(run.glob("*.tflite")).write_bytes(b"not a model"),
    "does not describe a model": damage_description,
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_bad_run_gives_one_line(
    message: str, run: Path, wav_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "run"
    shutil.copytree(run, bad)
    DAMAGES[message](bad)
    output = tmp_path / "out.wav"
    assert cli.run(["extend", str(wav_path), "--seconds", "9", "--model", str(bad), "-o", str(output)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("musex: error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not output.exists()


def test_a_diverged_network_is_named(run: Path, tmp_path: Path) -> None:
    name = load_model(run).name
    network = BUILDERS[name](model_of(run))
    network.weights[-1].assign(np.full(network.weights[-1].shape, np.nan))
    export(network, tmp_path / f"{name}.tflite", {"network": name, "model": vars(model_of(run))})
    diverged = load_model(tmp_path)
    assert isinstance(diverged, WaveformModel)
    with pytest.raises(ModelError, match="diverged"):
        diverged.predict(np.ones(10, np.float32))


@pytest.mark.parametrize(("network", "units"), [("paper", "shared"), ("paper", "own"), ("lstm", None)])
def test_the_command_trains_and_says_nothing_on_stderr(
    network: str,
    units: Units | None,
    music: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(references, "WaveformConfig", lambda: TINY)
    sound = tmp_path / "music"
    shutil.copytree(music, sound, ignore=shutil.ignore_patterns("short.*", "fading.*", "broken.*"))
    command = ["train", str(sound), "-o", str(tmp_path / "run"), "--network", network]
    command += ["--units", units] if units else []
    assert cli.run([*command, "--epochs", "1", "--validation", "group3"]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    for wanted in ("loss", "validation_loss", "silence 1", "peak_memory_mb", "musex extend"):
        assert wanted in printed.out
    assert load_model(tmp_path / "run").name == network
    assert model_of(tmp_path / "run").hidden == (units or "shared")
    assert (tmp_path / "run" / "losses.png").exists()
    assert cli.run([*command, "--epochs", "2", "--resume", "--quiet"]) == 0
    assert len(rows_of(tmp_path / "run")) == 2
    assert cli.run(command) == 1


def test_units_are_the_references_alone(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["train", str(music), "-o", str(tmp_path / "run"), "--units", "own"]) == 2
    assert "--units is for --network paper and lstm" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_was_learned_is_drawn_beside_what_was_never_heard(music: Path, run: Path, tmp_path: Path) -> None:
    figure = tmp_path / "heard.png"
    command = [sys.executable, "models/compare_references.py", run, "--music", music, "--figure", figure]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"^\| \S+ \| (\d+\.\d{3}) / (\d+\.\d{3}) \|$", done.stdout, re.MULTILINE)
    held = float(printed[0][1])
    assert held == pytest.approx(float(rows_of(run)[-1]["validation_loss"]), rel=0.01)
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_tensorflow_starts_without_a_word(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "musex", "train", str(tmp_path), "-o", str(tmp_path / "run")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent.parent.parent
    )
    assert done.returncode == 1
    assert done.stderr.startswith("musex: error: ")
    assert done.stderr.count("\n") == 1


def test_adam_as_one_operation_steps_as_keras_does(make_song: Callable[..., Array]) -> None:
    clips = make_song(20.0, 1000, 1).reshape(4, 5, 1000)
    steps = []
    for adam in (keras.optimizers.Adam(0.01), Adam(0.01)):
        keras.utils.set_random_seed(0)
        network = BUILDERS["paper"](OWN)
        begun = network.get_weights()
        network.compile(adam, loss="mse", jit_compile=False)
        losses = [float(network.train_on_batch(clips[:, :3], clips[:, 3:])) for _ in range(5)]
        moved = [after - before for after, before in zip(network.get_weights(), begun, strict=True)]
        steps.append([np.array(losses), *moved, *(variable.numpy() for variable in adam.variables)])
    for theirs, ours in zip(*steps, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-2, abs=1e-4)
    assert np.abs(steps[1][1]).max() > 0.01


def test_a_weighted_sum_is_a_dense_unit() -> None:
    vectors = np.random.default_rng(0).standard_normal((2, 3, 50)).astype(np.float32)
    layer = WeightedSum()
    layer.build(vectors.shape)
    layer.bias.assign([0.5])
    dense = keras.layers.Dense(1)
    dense.build((2, 50, 3))
    dense.set_weights(layer.get_weights())
    expected = np.array(dense(vectors.transpose(0, 2, 1)))[:, :, 0]
    assert np.array(layer(vectors)) == pytest.approx(expected, abs=1e-6)
