"""What `make` runs first: it puts Airdeck's packages into a virtual environment.

It stands on the standard library alone and on any Python from 3.9 on, without pip and venv: so a fresh Linux needs no
more than make, git and a Python. It fetches the pinned uv, checks its hash, and uv does the rest.
"""
