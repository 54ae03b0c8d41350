"""Reading Git repositories: a child process that speaks to the server (`child`), and asking it (`ask`).

The other side is a stranger's server and what it sends a stranger's bytes, so all of it happens in a process that holds
one source's secrets, has bounds of memory and time, and knows neither rows nor settings.
"""
