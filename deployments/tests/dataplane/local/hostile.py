"""What the code of a Deployment might try: everything that it must not reach, by every way that we know.

Runs in any Python from 3.11 on, alone (`python hostile.py TARGETS.json FOUND.json`) or imported by a DAG or a plugin:
standard library only. What it reached stands in FOUND.json, by the name of the attempt. Nothing there is good.
"""

import contextlib
import ctypes
import json
import mmap
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
SHM_RDONLY = 0o10000


class Attempts:
    """`targets`: "secrets" (files that hold `mark`), "folders" (not to be listed or written into), "files" (not to be
    changed), "pids" (of others), "homes", "own" (a folder of ours), "supervisor", "redis", "postgres", "warm",
    "abstract" (sockets), "ports" (not ours), "memory" (names below /dev/shm), "segments" (of System V), "mark"."""

    def __init__(self, targets: dict) -> None:
        self.targets, self.own = targets, Path(targets["own"])
        self.found: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        """Everything; what was reached, by name."""
        names = [name for name in dir(self) if name.startswith("try_")]
        for name in sorted(names, key=("try_links", "try_change").count):  # these destroy what they reach
            try:
                for detail, evidence in getattr(self, name)():
                    if evidence:
                        self.found[f"{name.removeprefix('try_')} {detail}"] = str(evidence)[:200]
            except Exception as error:  # an attempt that cannot even be made is a fault of this script
                self.found[f"{name} could not be tried"] = repr(error)
        return self.found

    def marked(self, read) -> str:
        """What `read` gives when it holds the mark."""
        with contextlib.suppress(OSError, ValueError):
            data = read()
            data = data if isinstance(data, bytes) else str(data).encode()
            if self.targets["mark"].encode() in data:
                return "holds the mark"
        return ""

    # -- Files --

    def try_read(self):
        for file in self.targets["secrets"]:
            yield file, self.marked(Path(file).read_bytes)

    def try_read_in_a_subprocess(self):
        for file in self.targets["secrets"]:
            code = f"print(open({file!r}).read())"
            for command in (["cat", file], ["sh", "-c", f"cat < '{file}'"], [sys.executable, "-c", code]):
                done = subprocess.run(command, capture_output=True, check=False)
                yield f"{command[0]} {file}", self.marked(lambda done=done: done.stdout)

    def try_links(self):
        """A link of our own, soft or hard, or the file itself moved here."""
        for number, file in enumerate(self.targets["secrets"]):
            for make in (os.symlink, os.link, shutil.copy, os.rename):
                place = self.own / f"taken-{number}-{make.__name__}"
                with contextlib.suppress(OSError):
                    make(file, place)
                    yield f"{make.__name__} {file}", self.marked(place.read_bytes)

    def try_handles(self):
        """Named first, opened afterwards; and through the folder."""
        for file in self.targets["secrets"]:
            for path, rest in ((file, ""), (os.path.dirname(file), "/" + os.path.basename(file))):
                with contextlib.suppress(OSError):
                    handle = os.open(path, os.O_PATH)
                    yield f"{path}{rest}", self.marked(Path(f"/proc/self/fd/{handle}{rest}").read_bytes)
                    os.close(handle)

    def try_list(self):
        for folder in self.targets["folders"]:
            with contextlib.suppress(OSError):
                yield folder, os.listdir(folder)

    def try_write(self):
        makes = {
            "file": lambda path: open(path, "x").close(),
            "folder": os.mkdir,
            "link": lambda path: os.symlink("/etc/passwd", path),
            "pipe": os.mkfifo,
        }
        for folder in self.targets["folders"]:
            for name, make in makes.items():
                with contextlib.suppress(OSError):
                    make(f"{folder}/hostile-{name}-{os.getpid()}")
                    yield f"{name} in {folder}", "made"

    def try_change(self):
        for file in [*self.targets["secrets"], *self.targets["files"]]:
            for name, change in (
                ("append", lambda p: open(p, "ab").close()),
                ("truncate", lambda p: os.truncate(p, os.stat(p).st_size)),
                ("replace", lambda p: os.replace(self._own_file(), p)),
                ("remove", os.unlink),
            ):
                with contextlib.suppress(OSError):
                    change(file)
                    yield f"{name} {file}", "done"

    def _own_file(self) -> str:
        path = self.own / "mine"
        path.write_text("mine")
        return str(path)

    def try_temporary_folders(self):
        for folder in ("/tmp", "/var/tmp"):
            with contextlib.suppress(OSError):
                yield (
                    folder,
                    [name for name in os.listdir(folder) if self.marked(Path(folder, name).read_bytes)],
                )

    def try_home_of_the_person(self):
        for folder in self.targets["homes"]:
            with contextlib.suppress(OSError):
                yield folder, os.listdir(folder)

    def try_system_secrets(self):
        for file in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers"):
            with contextlib.suppress(OSError):
                yield file, Path(file).read_bytes()[:1]

    # -- Other processes --

    def try_proc(self):
        for pid in self.targets["pids"]:
            for name in ("environ", "mem", "maps", "auxv", "stack"):
                with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/{name}", "rb") as file:
                    yield f"{name} of {pid}", file.read(16) if name != "mem" else "opened"
            for number in range(64):
                for name, take in (
                    ("what is", os.readlink),
                    ("into", lambda path: os.open(path, os.O_RDONLY)),
                ):
                    with contextlib.suppress(OSError):
                        yield f"{name} open file {number} of {pid}", take(f"/proc/{pid}/fd/{number}") or "0"
            for link in ("root", "cwd"):
                for file in self.targets["secrets"]:
                    path = f"/proc/{pid}/{link}{file}"
                    yield f"{link} of {pid} to {file}", self.marked(Path(path).read_bytes)
            with contextlib.suppress(OSError):
                shown = Path(f"/proc/{pid}/cmdline").read_bytes()
                yield f"arguments of {pid}", self.marked(lambda shown=shown: shown)

    def try_every_environment(self):
        """Whoever it is."""
        for name in os.listdir("/proc"):
            if name.isdigit() and self.marked(Path(f"/proc/{name}/environ").read_bytes):
                yield f"of {name}", "holds the mark"

    def try_trace(self):
        for pid in self.targets["pids"]:
            for request in (PTRACE_ATTACH, PTRACE_SEIZE):
                if LIBC.ptrace(request, pid, None, None) == 0:
                    yield f"{pid}", "attached"
            local, remote = ctypes.create_string_buffer(16), (ctypes.c_uint64 * 2)(0x400000, 16)
            here = (ctypes.c_uint64 * 2)(ctypes.addressof(local), 16)
            LIBC.process_vm_readv(pid, here, 1, remote, 1, 0)
            if ctypes.get_errno() not in (1, 3, 13):  # EPERM, ESRCH, EACCES
                yield f"memory of {pid}", ctypes.get_errno()

    def try_signals(self):
        for pid in self.targets["pids"]:
            for name, send in (("kill", os.kill), ("killpg", os.killpg), ("pidfd", self._by_handle)):
                with contextlib.suppress(OSError):
                    send(pid, 0)
                    yield f"{name} {pid}", "may"

    @staticmethod
    def _by_handle(pid: int, number: int) -> None:
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)

    # -- Sockets --

    def try_supervisord(self):
        method = b"<methodName>supervisor.getAllProcessInfo</methodName>"
        body = b"<?xml version='1.0'?><methodCall>" + method + b"<params/></methodCall>"
        for word in (b"", b"Authorization: Basic YWlyZGVjazo=\r\n"):
            head = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n" + word
            said = self._ask(
                self.targets["supervisor"], head + b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            yield "without its password", b"methodResponse" in said

    def try_redis(self):
        for path in self.targets["redis"]:
            yield path, b"PONG" in self._ask(path, b"PING\r\n")

    def try_postgres(self):
        for user in ("airdeck", "postgres", "root"):
            words = f"user\0{user}\0database\0postgres\0\0".encode()
            said = self._ask(self.targets["postgres"], struct.pack("!ii", len(words) + 8, 196608) + words)
            if said[:1] == b"R" and struct.unpack("!i", said[5:9]) == (0,):
                yield f"as {user}", "signed in"

    def try_warm_parent(self):
        """It forks for who can show it a file that we can only name."""
        for contact in self.targets["warm"]:
            ours, theirs = socket.socketpair()
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as parent:
                parent.connect(contact["socket"])
                proof = os.open(contact["proof"], os.O_PATH)
                socket.send_fds(parent, [b'{"fence": null}'], [0, 1, 2, theirs.fileno(), proof])
                theirs.close()
                ours.settimeout(5)
                yield contact["socket"], ours.recv(10)

    def try_abstract_sockets(self):
        for name in self.targets["abstract"]:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
                link.connect("\0" + name)
                yield name, "connected"

    def try_ports(self):
        """To stand where people expect the console, or another Airflow."""
        for port in self.targets["ports"]:
            for address in ("127.0.0.1", "0.0.0.0"):
                with contextlib.suppress(OSError), socket.socket() as server:
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    server.bind((address, port))
                    server.listen()
                    yield f"{address}:{port}", "listens"

    @staticmethod
    def _ask(path: str, question: bytes) -> bytes:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(path)
            link.sendall(question)
            return link.recv(4096)
        return b""

    # -- Shared memory --

    def try_shared_memory(self):
        with contextlib.suppress(OSError):
            yield "list", os.listdir("/dev/shm")
        for name in self.targets["memory"]:
            with contextlib.suppress(OSError, ValueError), open(f"/dev/shm/{name}", "rb") as file:
                yield name, self.marked(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ).read)

    def try_segments(self):
        LIBC.shmat.restype = ctypes.c_void_p
        for number in self.targets["segments"]:
            place = LIBC.shmat(number, None, SHM_RDONLY)
            if place not in (None, ctypes.c_void_p(-1).value):
                yield str(number), self.marked(lambda place=place: ctypes.string_at(place, 64))

    # -- More rights --

    def try_more_rights(self):
        status = Path("/proc/self/status").read_text()
        held = dict(line.split()[:2] for line in status.splitlines() if line.startswith(("Cap", "NoNew")))
        for kind in ("CapEff:", "CapPrm:", "CapBnd:", "CapAmb:") if os.geteuid() == 0 else ():
            yield f"capabilities {kind}", int(held[kind], 16)
        yield "new privileges", held["NoNewPrivs:"] != "1"
        yield "another user", self._in_a_child(self._change_user)
        yield "namespaces", self._in_a_child(self._enter_namespaces)

    @staticmethod
    def _change_user():
        for change in (os.setgid, os.setuid):
            with contextlib.suppress(OSError):
                change(1)
                yield change.__name__.encode()

    def _enter_namespaces(self):
        for flags in (CLONE_NEWUSER | CLONE_NEWNS, CLONE_NEWNS):
            LIBC.unshare(flags)
            for file in self.targets["secrets"]:
                yield self.marked(Path(file).read_bytes).encode()

    @staticmethod
    def _in_a_child(attempts) -> bytes:
        """From what it becomes there is no way back."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                for evidence in attempts():
                    os.write(writer, evidence)
            os._exit(0)
        os.close(writer)
        os.waitpid(pid, 0)
        return os.read(reader, 1000)

    def try_devices(self):
        for name in os.listdir("/sys/block") if os.path.isdir("/sys/block") else []:
            path = f"/dev/{name}"
            if os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode):
                with contextlib.suppress(OSError), open(path, "rb") as disk:
                    yield path, disk.read(1)


def run(targets_file: str, found_file: str) -> None:
    """Try everything, and write down what was reached."""
    found = Attempts(json.loads(Path(targets_file).read_text())).run()
    draft = Path(f"{found_file}.draft")
    draft.write_text(json.dumps(found))
    draft.replace(found_file)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
