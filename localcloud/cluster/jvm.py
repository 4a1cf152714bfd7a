"""A driver's JVM: SparkSubmit run directly, which tells in a file where its first server listens."""

import struct
import subprocess
import time
from pathlib import Path
from typing import Any

from localcloud.cluster.conf import java_environment

_INFO = "gateway"


def start(
    command: list[str], home: Path, conf_dir: Path, work_dir: Path, env: dict[str, str], **options: Any
) -> "subprocess.Popen[bytes]":
    """Start the JVM in `work_dir`; it ends when its stdin does, so also when this process is killed.

    command: `conf.java_command`'s; home: Spark's; env: the whole environment; options: subprocess.Popen's
    """
    info = work_dir / _INFO
    info.unlink(missing_ok=True)
    env = env | java_environment(home, conf_dir) | {"_PYSPARK_DRIVER_CONN_INFO_PATH": str(info)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=env, cwd=work_dir, **options)


def address(process: "subprocess.Popen[bytes]", work_dir: Path) -> tuple[int, str]:
    """Port and secret of the JVM's first server, once it listens; raises ChildProcessError when the JVM has ended.

    The JVM leaves them in a file that only its owner can read, and that is gone after this.
    """
    info = work_dir / _INFO
    while not info.exists():
        if process.poll() is not None:
            raise ChildProcessError(f"Spark's JVM ended with code {process.returncode} while it started")
        time.sleep(0.02)
    data = info.read_bytes()
    info.unlink()
    port, length = struct.unpack_from("!ii", data)
    return port, data[8 : 8 + length].decode()
