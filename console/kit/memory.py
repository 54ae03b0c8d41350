"""How often a process that answers requests looks for garbage.

Django leaves each request in a cycle, and one that waited is old garbage, which a full collection alone finds. By
default that comes after a thousand requests or more, of 35 KiB each (docs/performance.md).
"""

import gc

# Objects that are new since the last look, looks at these before one at the middle-aged, and looks at those before one
# at all: a full collection after about thirty requests, and not before what is old has grown by a quarter.
OFTEN = (1_000, 2, 1)


def collect_often() -> None:
    """Look for garbage often, and no more at what is imported by now, so that it costs little. Once, when all is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*OFTEN)
    gc.collect()  # counts what is left: the next full one is due when a quarter of that is new
