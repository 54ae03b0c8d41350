"""Mints and compares names. Release names are safe in every place that one reaches: host names, Kubernetes
namespaces, database and role names (with - as _), file names and supervisord sections."""

import re
import secrets

from console.kit import names

RELEASE_NAME = re.compile(r"[a-z]+-[a-z]+-[0-9]{4}")

ADJECTIVES = (
    "amber ancient arctic astral bold bright brisk calm celestial clear cosmic crimson crystal daring deep distant "
    "eager early electric elliptic endless faint fast fearless fiery floating gentle glowing golden grand hidden "
    "icy infinite inner ionic iron jovian keen light lively lucid lunar magnetic majestic mellow molten native "
    "nebular noble northern orbital outer patient polar primal prime quantum quiet radiant rapid remote roaming "
    "serene silent silver sincere solar southern spectral spinning stable starry steady stellar still swift tidal "
    "tranquil twin vast velvet vivid wandering warm winding zenithal"
).split()

NOUNS = (
    "altitude aphelion apogee asteroid atlas aurora axis beacon belt binary comet compass constellation corona "
    "cosmos crater dawn declination dust eclipse ecliptic ellipse epoch equinox field flare flux galaxy gravity "
    "halo heliopause horizon inclination ion isotope launch lens light lunation magnitude mantle meridian meteor "
    "module moon nadir nebula node nova nucleus oblateness observatory opposition orbit parallax parsec perigee "
    "perihelion period photon plasma pole probe prominence protostar pulsar quasar radiation radius reflector "
    "revolution ring rocket rotation satellite sensor signal singularity solstice spectrum sphere spiral star "
    "station sunrise sunspot supernova telescope terminator tide transit vacuum vector velocity wave zenith zodiac"
).split()


def mint_release_name() -> str:
    """A random adjective-noun-NNNN. About 80 million of them; uniqueness is the ReleaseName table's."""
    return f"{secrets.choice(ADJECTIVES)}-{secrets.choice(NOUNS)}-{secrets.randbelow(10_000):04d}"


name_key = names.key


NAME_LENGTH = 64

NAME_KEY_LENGTH = 256  # the column; one character may become eighteen under NFKC


def clean_name(name: str) -> str:
    """A Deployment's name as stored. Raises ValueError with the sentence for the field."""
    cleaned = names.clean(name, longest=NAME_LENGTH)
    if len(name_key(cleaned)) > NAME_KEY_LENGTH:
        raise ValueError("Enter a shorter name; some of its characters stand for many.")
    return cleaned
