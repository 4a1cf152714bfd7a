"""Drivers that start, that do not, and what ends them: who wanted them, memory, a full disk."""

import contextlib
import dataclasses
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

import toolchain
from localcloud import processes
from localcloud.cluster import ClusterSpec, Driver, DriverError, TaskSpec, archive
from localcloud.cluster.host import Host, _Task
from localcloud.settings import Settings


@pytest.fixture
def machine(tmp_path: Path) -> Settings:
    return Settings(
        tmp_path,
        toolchain.java(),
        toolchain.jars("spark"),
        toolchain.jars("kafka"),
        Path(sys.executable),
        driver_options=archive.using(toolchain.class_archive()),
    )


def spec(machine: Settings, cluster_id: str) -> ClusterSpec:
    return ClusterSpec(cluster_id, 1, {}, {}, {}, machine.state / cluster_id, "", "")


def is_java(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.name() == "java"
    return False


OWNER = """
import sys
from pathlib import Path
from localcloud.cluster import ClusterSpec, Driver
from localcloud.settings import Settings

state, java, jars = (Path(argument) for argument in sys.argv[1:4])
driver = Driver(Settings(state, java, jars, jars, Path(sys.executable), driver_options=tuple(sys.argv[4:])),
                ClusterSpec("owned", 1, {}, {}, {}, state / "owned", "", ""))
driver.start()
print(driver._process.pid, flush=True)
sys.stdin.read()
"""


def test_a_driver_does_not_outlive_a_killed_owner(machine):
    arguments = [str(machine.state), str(machine.java), str(machine.spark_jars), *machine.driver_options]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        host = psutil.Process(int(owner.stdout.readline()))
        family = [host, *host.children(recursive=True)]
        owner.kill()
    assert any(is_java(process) for process in family)
    _, left = psutil.wait_procs(family, timeout=20)
    assert left == []


def test_a_driver_that_cannot_start_says_why(machine):
    broken_spec = spec(machine, "broken")
    broken = Driver(machine, dataclasses.replace(broken_spec, spark_conf={"spark.serializer": "no.such.Serializer"}))
    with pytest.raises(DriverError, match=r"cluster broken: .*no\.such\.Serializer"):
        broken.start()
    assert not broken.alive
    with pytest.raises(DriverError, match="/no/such/java"):
        Driver(dataclasses.replace(machine, java=Path("/no/such/java")), broken_spec).start()


def test_a_start_is_given_up_when_the_driver_is_stopped_meanwhile(machine):
    starting = Driver(machine, spec(machine, "hurried"))
    problems: list[Exception] = []

    def start() -> None:
        try:
            starting.start()
        except DriverError as problem:
            problems.append(problem)

    thread = threading.Thread(target=start)
    thread.start()
    family: list[psutil.Process] = []
    while not any(is_java(process) for process in family):
        host = starting._process and psutil.Process(starting._process.pid)
        family = [host, *host.children(recursive=True)] if host else []
    starting.stop()
    thread.join(5)
    assert [str(problem) for problem in problems] == ["cluster hurried: it was stopped while it started"]
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []
    with pytest.raises(DriverError, match="it was stopped before it started"):
        starting.start()


def test_a_record_of_processes_that_finds_no_room_ends_nothing(tmp_path):
    processes.record(tmp_path / "no such folder" / "host.pids", [1])


def test_half_a_result_is_none(tmp_path):
    with subprocess.Popen(["true"], start_new_session=True) as ended:
        pass
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        file.write(b'{"outcome": "FAI')
        task = _Task({}, pid=ended.pid, file=file)
        Host({}, -1, -1)._task_ended(task, 1)
    assert task.result == {
        "outcome": "FAILED",
        "error": "The task's Python process ended with exit code 1.",
        "trace": "",
    }


def test_a_jvm_without_memory_ends_and_its_tasks_with_it(machine, tmp_path):
    driver = Driver(machine, spec(machine, "greedy"))
    driver.start()
    source = "sc._gateway.new_array(sc._jvm.long, 2**31 - 8)"
    result = driver.run(TaskSpec("greedy", "", "", [], [], tmp_path / "greedy.log", notebook=source)).wait(30)
    assert result is not None, "it hangs"
    assert result.error.startswith(
        "The driver was lost: the Spark JVM ended with code 3. It may have run out of memory"
    )
    driver.stop()
