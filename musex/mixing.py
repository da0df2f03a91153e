"""The public verbs for mixes: many songs as one stream, to a file or into a pipe."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from musex.audio.cue_sheets import Track, compose_cue
from musex.audio.formats import FORMATS, check_size
from musex.audio.reading import check_song
from musex.audio.tags.items import Chapter
from musex.audio.writing import check_output, encode_song, pipe_song
from musex.errors import AudioError, MusexError, suggest
from musex.extension import pointing
from musex.mixes.order import ORDERS, order_songs
from musex.mixes.player import MixedSong, Mixer
from musex.mixes.shares import check_count
from musex.mixes.songs import choose_form, listen, tell_changes
from musex.prediction.model import Model
from musex.rendering.outputs import counted, made_by
from musex.settings import Mood, Order, Settings, Voice, check_seconds
from musex.system.progress import OnProgress, ignore_progress
from musex.system.side_files import check_side_file, name_beside, written_together

logger = logging.getLogger(__name__)

CHAPTERED = (".mp3", ".m4a", ".ogg", ".opus")  # formats whose chapters players show; others get a cue sheet
MOST_CHAPTERS = 255  # that mp3 and m4a count
TOLD_DB = 1.0  # by which a song may be softer than the others without a word


@dataclass(frozen=True)
class Mix:
    """A mix that was made.

    Attributes:
        seconds: Its length.
        sample_rate: Hz.
        channels: Their number.
        songs: What was played, in order; a song may have had several turns.
        cue: The cue sheet beside it, None where its format has chapters.
        left_out: Songs that could not be used, and need not be.
    """

    seconds: float
    sample_rate: int
    channels: int
    songs: tuple[MixedSong, ...]
    cue: Path | None = None
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "cue": None if self.cue is None else str(self.cue)}


def mix_files(
    songs: Sequence[str | Path],
    output: str | Path,
    *,
    seconds: float,
    order: Order = "given",
    seed: int = 0,
    novelty: float = 0.5,
    mood: Mood | None = None,
    voice: Voice = "whole",
    model: Model | str | Path | None = None,
    force: bool = False,
    bitrate: str | None = None,
    optional: Collection[str | Path] = (),
    on_progress: OnProgress | None = None,
) -> Mix:
    """Make one file of many songs, `seconds` long to the sample, in memory that does not grow with it.

    Each song plays as long as its material is good for, in proportion to the others; where all of them together are
    not good for so long, they come round again, with other jumps. A song is left at the end of a bar, of a phrase if
    there is one near, and the next begins with a downbeat; all are as loud as each other (BS.1770), as loud as the
    loudest of them or as none of them exceeds full scale. Songs of different rates are resampled to the highest; of
    different channels, made stereo. mp3, m4a, ogg and opus have a chapter for each song, other formats a cue sheet.

    Args:
        songs: Two or more songs.
        output: The file to write; its ending chooses the format.
        seconds: How long it shall be: 15 s for each song at least, at most 24 h.
        order: "given", or "flow" so that tempo and key change little from song to song.
        seed: As in `musex.extend`; it rises by one from song to song.
        novelty: As in `musex.extend`.
        mood: As in `musex.extend`.
        voice: As in `musex.extend`.
        model: As in `musex.extend`, but none that is generative.
        force: Overwrite an existing output and cue sheet.
        bitrate: As in `extend_file`.
        optional: Songs that are left out, with a warning, where they cannot be used: what a folder happens to hold.
        on_progress: Called with what is being done and how much of it is done.

    Raises:
        MusexError: A song or the model cannot be used, the duration is too short for so many, or the output cannot be
            written. Nothing is left behind then, and existing files are as they were.
    """
    check_seconds(seconds)
    report, target = on_progress or ignore_progress, Path(output)
    settings = Settings(seed=seed, novelty=novelty, mood=mood, voice=voice)
    paths = _check_songs(songs, order)
    check_count(seconds, len(paths) - len(optional))
    for path in paths:
        check_output(target, path, force, bitrate=bitrate)
    suffix = target.suffix.lower()
    cue = None if suffix in CHAPTERED else name_beside(target, ".cue")
    if cue is not None:
        check_side_file(cue, force, target, *paths)
    mixer = _prepare(paths, order, settings, pointing(model), optional=optional, report=report)
    check_count(seconds, len(mixer.songs))
    blank, frames = mixer.form.blank, round(seconds * mixer.form.sample_rate)
    mixer = replace(mixer, frames=frames)
    check_size(FORMATS[suffix], blank, frames, target)
    with written_together([target] + ([] if cue is None else [cue]), AudioError, force=force) as temporary:
        notes = encode_song(
            temporary[0],
            counted(mixer.blocks(), frames, report),
            song=blank,
            name=target,
            encoded_by=made_by(mixer.model.name, mixer.model.sha256, seed),
            bitrate=bitrate,
            chapters=lambda: _chapters(mixer),
        )
        if cue is not None:
            tracks = [Track(song.at, song.title, song.artist) for song in mixer.played]
            temporary[1].write_text(compose_cue(target.name, tracks), encoding="utf-8", errors="replace")
    _tell(notes, mixer)
    heard = {song.path for song in mixer.songs}
    return Mix(
        frames / mixer.form.sample_rate,
        mixer.form.sample_rate,
        mixer.form.channels,
        tuple(mixer.played),
        cue,
        left_out=tuple(str(path) for path in dict.fromkeys(paths) if path not in heard),
    )


def stream_mix(
    songs: Sequence[str | Path],
    handle: IO[bytes],
    *,
    seconds: float | None = None,
    suffix: str = ".wav",
    order: Order = "given",
    seed: int = 0,
    novelty: float = 0.5,
    mood: Mood | None = None,
    voice: Voice = "whole",
    model: Model | str | Path | None = None,
    bitrate: str | None = None,
    optional: Collection[str | Path] = (),
    on_progress: OnProgress | None = None,
) -> None:
    """Play many songs into a pipe, as `mix_files` joins them; without `seconds` they go round until it is closed.

    Raises:
        MusexError: As `mix_files`; or the format cannot be piped.
        BrokenPipeError: Whoever reads has closed the pipe.
    """
    report = on_progress or ignore_progress
    settings = Settings(seed=seed, novelty=novelty, mood=mood, voice=voice)
    paths = _check_songs(songs, order)
    if seconds is not None:
        check_count(check_seconds(seconds), len(paths) - len(optional))
    mixer = _prepare(paths, order, settings, pointing(model), optional=optional, report=report)
    if seconds is not None:
        check_count(seconds, len(mixer.songs))
    frames = None if seconds is None else round(seconds * mixer.form.sample_rate)
    mixer = replace(mixer, frames=frames)
    blocks: Iterable[Any] = mixer.blocks()
    if frames is not None:
        blocks = counted(blocks, frames, report)
    else:
        report("Playing", 0.0)
    _tell(pipe_song(handle, blocks, song=mixer.form.blank, suffix=suffix, bitrate=bitrate), mixer)


def _check_songs(songs: Sequence[str | Path], order: Order) -> list[Path]:
    """The songs' paths; raises MusexError where they are too few or not there, or the order is none."""
    if order not in ORDERS:
        raise MusexError(f"`order={order!r}` is not available; musex has {', '.join(ORDERS)}{suggest(order, ORDERS)}")
    paths = [Path(song) for song in songs]
    if len(paths) < 2:
        raise MusexError(f"a mix is of two songs or more, and {len(paths)} is given: for one song use extend")
    for path in paths:
        check_song(path)
    return paths


def _prepare(
    paths: Sequence[Path],
    order: Order,
    settings: Settings,
    model: Model,
    *,
    optional: Collection[str | Path],
    report: OnProgress,
) -> Mixer:
    """Listen to all songs, each once however often it is given, and put them in order."""
    known, may_lack = {}, {Path(path) for path in optional}
    for number, path in enumerate(dict.fromkeys(paths)):
        report("Listening", number / len(paths))
        try:
            known[path] = listen(path)
        except AudioError as error:
            if path not in may_lack:
                raise
            logger.warning(f"{error}; it is left out")
            continue
        for warning in known[path].info.warnings:
            logger.warning(warning)
    report("Listening", 1.0)
    if len(usable := [known[path] for path in paths if path in known]) < 2:
        raise MusexError(f"a mix is of two songs or more, and of {len(paths)} only {len(usable)} can be used")
    heard = order_songs(usable, order)
    form = choose_form(heard)
    for note in tell_changes(heard, form):
        logger.warning(note)
    return Mixer(heard, form, model, settings)


def _chapters(mixer: Mixer) -> list[Chapter]:
    """A chapter for each turn; before it is played, without its time."""
    played = [Chapter(song.at, song.at + song.seconds, song.title) for song in mixer.played]
    left = range(len(played), mixer.turns or 0)
    return [*played, *(Chapter(0.0, 0.0, mixer.song(turn).title) for turn in left)][:MOST_CHAPTERS]


def _tell(notes: Sequence[str], mixer: Mixer) -> None:
    """Log what the user should know: of the format, and of songs that could not be made as loud as the others."""
    for note in notes:
        logger.warning(note)
    soft = {song.title for song in mixer.played if song.loudness < mixer.target - TOLD_DB}
    if soft:
        logger.warning(
            f"softer than the others by more than {TOLD_DB:g} dB, not to exceed full scale: {', '.join(sorted(soft))}"
        )
