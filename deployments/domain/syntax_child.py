"""Compiles files that come through standard input, and says which do not compile. Runs as a program of its own
(`code_syntax`), because a file can bring the compiler down; it never imports what it reads. Standard library only.

In: per file a line of JSON {"path", "size"} and so many bytes. Out: per file a line of JSON {"path", "line", "error"},
`error` empty when it compiles.
"""

import contextlib
import json
import resource
import sys
import warnings

MEMORY_BYTES = (
    1024 * 1024 * 1024
)  # compiling 100 MiB of source takes more; such a file "could not be checked"


def check(path: str, source: bytes) -> tuple[int, str]:
    """The line and the error; (0, "") when it compiles."""
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return error.lineno or 0, f"{type(error).__name__}: {error.msg}"
    except (ValueError, UnicodeError) as error:  # NUL bytes, an unknown encoding
        return 0, f"{type(error).__name__}: {error}"
    except (MemoryError, RecursionError) as error:
        return 0, f"{type(error).__name__}: too large or too deeply nested to be compiled"
    return 0, ""


def main() -> None:
    """Until standard input ends."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    stream = sys.stdin.buffer
    while header := stream.readline():
        request = json.loads(header)
        line, error = check(request["path"], stream.read(request["size"]))
        sys.stdout.write(json.dumps({"path": request["path"], "line": line, "error": error}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
