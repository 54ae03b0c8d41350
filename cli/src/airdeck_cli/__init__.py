"""The command line of Airdeck. It knows the console's JSON API and nothing else of it.

Starting it must cost little: a module imports at its top only what every command needs.
"""

VERSION = "0.1.0"
