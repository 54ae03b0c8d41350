"""The fence around each program of a Deployment: Landlock, and an account of its own where `up` runs as root (ADR 24).

`ways` says what this machine offers, `plan` what a program may reach, `accounts` who it runs as; the launcher and the
forked child apply it with `confine`. Only the standard library is imported by what runs there.
"""
