"""``dbutils.fs``: files and folders by their whole address, on the file systems that the session itself uses.

Names, parameters and results are those that databricks-sdk tells of a cluster's own (databricks/sdk/runtime/
dbutils_stub.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from py4j.protocol import Py4JJavaError


class ExecutionError(Exception):
    """What a cluster's dbutils raises: a Java exception's text, and nothing else of it."""


@contextmanager
def _java_told_by_its_text() -> Iterator[None]:
    try:
        yield
    except Py4JJavaError as error:
        raise ExecutionError(str(error)) from None


class FileInfo(NamedTuple):
    """A file, or a folder: its path and name then end with a slash, and its size is 0.

    size: bytes; modificationTime: milliseconds since 1970
    """

    path: str
    name: str
    size: int
    modificationTime: int

    def isDir(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith("/")

    def isFile(self) -> bool:
        """Whether it is a file."""
        return not self.isDir()


class FileUtils:
    """The methods of ``dbutils.fs`` that the local cloud offers; they raise ExecutionError."""

    def __init__(self, spark: Any) -> None:
        self._spark = spark

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"dbutils.fs.{name} is not known on the local cloud; dbutils.fs has ls, head, put, mkdirs and rm"
        )

    @_java_told_by_its_text()
    def ls(self, path: str) -> list[FileInfo]:
        """What is in a folder; a file is listed as itself."""
        file_system, address = self._open(path)
        return [_info(status) for status in file_system.listStatus(address)]

    @_java_told_by_its_text()
    def head(self, file: str, max_bytes: int = 65536) -> str:
        """A file's first bytes, as text in UTF-8."""
        file_system, address = self._open(file)
        if file_system.getFileStatus(address).isDirectory():
            raise ExecutionError(f"Cannot head a directory: {file}")
        stream = file_system.open(address)
        try:
            content = bytes(stream.readNBytes(max_bytes + 1))
        finally:
            stream.close()
        if len(content) > max_bytes:
            print(f"[Truncated to first {max_bytes} bytes]")
        return content[:max_bytes].decode(errors="replace")

    @_java_told_by_its_text()
    def put(self, file: str, contents: str, overwrite: bool = False) -> bool:
        """Write a text file in UTF-8. Over an old one it is written in place: a reader may see it empty or in part."""
        file_system, address = self._open(file)
        content = contents.encode()
        stream = file_system.create(address, overwrite)
        try:
            stream.write(content)
        finally:
            stream.close()
        print(f"Wrote {len(content)} bytes.")
        return True

    @_java_told_by_its_text()
    def mkdirs(self, dir: str) -> bool:
        """Make a folder and its parents where they are missing."""
        file_system, address = self._open(dir)
        return bool(file_system.mkdirs(address))

    @_java_told_by_its_text()
    def rm(self, dir: str, recurse: bool = False) -> bool:
        """Remove a file or an empty folder, with `recurse` any folder; False where there is none."""
        file_system, address = self._open(dir)
        return bool(file_system.delete(address, recurse))

    def _open(self, path: str) -> tuple[Any, Any]:
        """The file system that a path is on, and Hadoop's form of the path."""
        if urlsplit(path).scheme in ("", "dbfs"):
            raise ExecutionError(
                f"{path} is on DBFS or in a volume, and the local cloud has neither: "
                "give a whole address, abfss://container@account.dfs.core.windows.net/folder"
            )
        address = self._spark._jvm.org.apache.hadoop.fs.Path(path)
        return address.getFileSystem(self._spark._jsparkSession.sessionState().newHadoopConf()), address


def _info(status: Any) -> FileInfo:
    address, is_folder = status.getPath(), status.isDirectory()
    end = "/" if is_folder else ""
    size = 0 if is_folder else status.getLen()
    return FileInfo(address.toString() + end, address.getName() + end, size, status.getModificationTime())
