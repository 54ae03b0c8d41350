"""The task logs of the scripted data plane: texts that tests write, handed out as the real ones are."""

from datetime import UTC, datetime

from deployments.dataplane import task_log_lines
from deployments.dataplane.contract import LogTail, TaskLog, TaskLogs
from deployments.dataplane.task_log_files import Part


class ScriptedTaskLogs:
    """Of one Deployment, by path."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.at: dict[str, datetime] = {}

    def write(self, path: str, *lines: str) -> None:
        """Add lines to a log."""
        self.texts[path] = self.texts.get(path, b"") + "".join(f"{line}\n" for line in lines).encode()
        self.at[path] = datetime.now(UTC)

    def listed(self, text: str, most: int) -> TaskLogs:
        """See `Driver.task_logs`."""
        words = text.casefold().split()
        found = [
            TaskLog(path, len(self.texts[path]), self.at[path])
            for path in sorted(self.texts, key=self.at.__getitem__, reverse=True)
            if all(word in path.casefold() for word in words)
        ]
        return TaskLogs(tuple(found[:most]), len(found) <= most)

    def read(self, path: str, *, lines: int, after: str) -> LogTail:
        """See `Driver.task_log`."""
        return task_log_lines.read(
            lambda start, most: self._part(path, start, most), lines=lines, after=after
        )

    def _part(self, path: str, start: int | None, most: int) -> Part | None:
        if path not in self.texts:
            return None
        whole = self.texts[path]
        begin = max(0, len(whole) - most) if start is None or start > len(whole) else start
        data = whole[begin : begin + most]
        return Part(begin, begin + len(data), len(whole), data)
