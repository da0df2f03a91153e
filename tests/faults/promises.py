"""What musex promises whatever happens, each tried by cases at random: all that the modules beside this one try."""

from tests.faults import closed, damaged, endings, endurance, shortages, together

PROMISES = tuple(
    promise for family in (damaged, endings, shortages, closed, together, endurance) for promise in family.PROMISES
)
