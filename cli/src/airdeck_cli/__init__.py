"""The command line of Airdeck. It knows the console's JSON API and nothing else of it.

Starting it must cost little: a module imports at its top only what every command needs. HTTP, YAML and packing are loaded by
the commands that use them.
"""

VERSION = "0.1.0"
