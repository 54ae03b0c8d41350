"""Variables that send traffic through a proxy, completed so that Airflow's own parts still reach each other. Pure.

Programs read these names in capitals and in small letters, and the small ones win: so both are set.
"""

from collections.abc import Collection, Mapping

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
EXCEPTIONS = ("NO_PROXY", "no_proxy")
ALWAYS = ("localhost", "127.0.0.1")  # whatever else: a program's own machine is never behind a proxy


def uses_proxy(keys: Collection[str]) -> bool:
    """Whether variables of these names send traffic through a proxy."""
    return any(key.lower() in PROXIES for key in keys)


def completed(
    plain: Mapping[str, str], secret: Mapping[str, str], hosts: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The user's variables, plain and secret, with `hosts` among the exceptions wherever a proxy is set. What they
    except themselves stays; it is secret after as it was before."""
    if not uses_proxy({*plain, *secret}):
        return dict(plain), dict(secret)
    kept = secret if any(key in secret for key in EXCEPTIONS) else plain
    message = next(
        (each[key] for key in reversed(EXCEPTIONS) for each in (secret, plain) if each.get(key)), ""
    )
    theirs = [host.strip() for host in message.split(",") if host.strip()]
    every = theirs if "*" in theirs else list(dict.fromkeys([*theirs, *ALWAYS, *hosts]))
    added = dict.fromkeys(EXCEPTIONS, ",".join(every))
    return {**plain, **({} if kept is secret else added)}, {**secret, **(added if kept is secret else {})}
