"""Times and counts in words."""


def format_time(seconds: float) -> str:
    """ "1:02:03.0" or "2:03.0": to a tenth of a second."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{clock}:{rest // 10:02d}.{rest % 10}"


def format_count(number: int, name: str) -> str:
    """ "1 seam", "2 seams"."""
    return f"{number} {name}" + "s" * (number != 1)


def plain_line(text: str) -> str:
    """A text in one line of characters that any format can hold: no control characters, no bytes that are no text."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(character if character.isprintable() else " " for character in text)
