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
