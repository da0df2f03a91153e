"""The audio streams of a file, as ffmpeg's log tells of them: which is played, and how its channels lie."""

import re
from dataclasses import dataclass

from musex.errors import AudioError

# Which channels a layout has, by ffmpeg's names: front, back and side, left, right and centre.
_CHANNELS = {
    "mono": "FC",
    "stereo": "FL+FR",
    "2.1": "FL+FR+LFE",
    "3.0": "FL+FR+FC",
    "3.0(back)": "FL+FR+BC",
    "3.1": "FL+FR+FC+LFE",
    "4.0": "FL+FR+FC+BC",
    "quad": "FL+FR+BL+BR",
    "quad(side)": "FL+FR+SL+SR",
    "4.1": "FL+FR+FC+LFE+BC",
    "5.0": "FL+FR+FC+BL+BR",
    "5.0(side)": "FL+FR+FC+SL+SR",
    "5.1": "FL+FR+FC+LFE+BL+BR",
    "5.1(side)": "FL+FR+FC+LFE+SL+SR",
    "6.0": "FL+FR+FC+BC+SL+SR",
    "hexagonal": "FL+FR+FC+BL+BR+BC",
    "6.1": "FL+FR+FC+LFE+BC+SL+SR",
    "6.1(back)": "FL+FR+FC+LFE+BL+BR+BC",
    "7.0": "FL+FR+FC+BL+BR+SL+SR",
    "7.1": "FL+FR+FC+LFE+BL+BR+SL+SR",
}


@dataclass(frozen=True)
class AudioStream:
    """One of the audio streams of a file.

    Attributes:
        description: Its codec and what else ffmpeg says of it.
        layout: Of its channels, by ffmpeg's name ("2.1", or "FL+FR+LFE"); empty where the file does not say.
        default: Whether the file says that this one is played unless another is asked for.
    """

    description: str
    layout: str
    default: bool

    @property
    def subtype(self) -> str:
        """What a lossless output of it should hold, as `Song.subtype`."""
        if "(24 bit)" in self.description:
            return "PCM_24"
        return "FLOAT" if self.description.startswith(("pcm_f", "pcm_s32")) else "PCM_16"


def parse_streams(log: str) -> list[AudioStream]:
    """The audio streams of the one input that ffmpeg's log describes."""
    described = re.split(r"^(?:Stream mapping|Output #0)", log, maxsplit=1, flags=re.MULTILINE)[0]
    lines = re.findall(r"^ *Stream #0:\S+ Audio: (.*)$", described, re.MULTILINE)
    return [AudioStream(line, _layout_of(line), "(default)" in line) for line in lines]


def choose_stream(streams: list[AudioStream], number: int | None, name: str) -> int:
    """The number, from 1, of the stream that is played: the one asked for, else the file's default, else the first.

    Raises:
        AudioError: The file has no stream of that number.
    """
    if number is None:
        return next((place for place, stream in enumerate(streams, start=1) if stream.default), 1)
    if not 1 <= number <= max(len(streams), 1):
        most = f"1 to {len(streams)} can be chosen" if len(streams) > 1 else "1 is all it has"
        raise AudioError(f"{name} has no audio stream {number}: {most}")
    return number


def holding_layout(layout: str, layouts: tuple[str, ...]) -> str | None:
    """The first of `layouts`, from few channels to many, that has a place for every channel of `layout`.

    The sides are where the back is, if only one of both is there.
    """
    wanted = set(_CHANNELS.get(layout, layout).split("+"))
    behind = {channel.replace("S", "B") for channel in wanted}
    return next(
        (
            held
            for held in layouts
            for channels in (set(_CHANNELS[held].split("+")),)
            if wanted <= channels or (len(behind) == len(wanted) and behind <= channels)
        ),
        None,
    )


def channels_of(layout: str, count: int) -> list[str]:
    """The names of a layout's channels, such as "FL", in their order; without a layout as ffmpeg takes so many."""
    usual = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
    return _CHANNELS.get(layout or usual[count - 1], layout).split("+")


def _layout_of(description: str) -> str:
    """The layout in a line such as "aac (LC), 44100 Hz, 4 channels (FL+FR+LFE+BC), fltp, 130 kb/s"."""
    match = re.search(r"\d+ Hz, ([^,]+)", description)
    layout = match[1].strip() if match else ""
    listed = re.fullmatch(r"\d+ channels? \((.*)\)", layout)
    if listed:
        return listed[1]
    return "" if re.fullmatch(r"\d+ channels?", layout) or layout.startswith("ambisonic") else layout
