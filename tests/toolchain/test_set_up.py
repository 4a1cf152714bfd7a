"""Set-up finds or refuses: each refusal is one sentence that says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from toolchain import common, engine, ivy, jvm


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return path


@pytest.fixture
def empty_machine(tmp_path, monkeypatch):
    """A machine with an empty cache and nothing on PATH."""
    jvm.version.cache_clear()
    engine.version.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def test_java_8_is_refused_and_named(empty_machine):
    executable(empty_machine / "bin/java", "echo 'openjdk version \"1.8.0_392\"' >&2\n")
    with pytest.raises(common.ToolMissing, match=r"Java 17 or 21 is needed \(.*bin/java is Java 8\)"):
        jvm.find()


@pytest.mark.parametrize("release", ["17.0.15", "21.0.8"])
def test_java_17_and_21_serve(empty_machine, release):
    java = executable(empty_machine / "bin/java", f"echo 'openjdk version \"{release}\"' >&2\n")
    assert jvm.find() == java


def test_java_home_is_asked_before_path(empty_machine, monkeypatch):
    executable(empty_machine / "bin/java", "echo 'openjdk version \"17.0.1\"' >&2\n")
    chosen = executable(empty_machine / "home/bin/java", "echo 'openjdk version \"21.0.1\"' >&2\n")
    monkeypatch.setenv("JAVA_HOME", str(empty_machine / "home"))
    assert jvm.find() == chosen


def test_an_old_pulumi_on_the_path_is_not_used(empty_machine):
    executable(empty_machine / "bin/pulumi", "echo v3.100.0\n")
    with pytest.raises(common.ToolMissing, match=r"Pulumi CLI 3\.259\.0 or newer is needed"):
        engine.find()


def test_without_pulumi_installer_and_go_one_sentence_says_what_to_install(empty_machine, monkeypatch):
    def unreachable(*_, **__):
        raise common.ToolMissing("The installer failed: no route")

    monkeypatch.setattr(engine, "run", unreachable)
    with pytest.raises(common.ToolMissing, match=r"Install Pulumi 3\.259\.0 or newer, or Go"):
        engine.ensure()


def test_a_jar_that_is_not_the_locked_one_is_refused(tmp_path):
    jar = ivy.locked_jars()[0]
    forged = tmp_path / "forged.jar"
    forged.write_bytes(b"not the reviewed bytes")
    with pytest.raises(common.ToolMissing, match="does not have the SHA-256"):
        ivy._verify(forged, jar)


def test_no_class_path_holds_two_versions_of_a_jar():
    names = [(jar.class_path, jar.artifact) for jar in ivy.locked_jars()]
    assert len(names) == len(set(names))


def test_jars_before_set_up_say_which_command_fetches_them(empty_machine):
    with pytest.raises(common.ToolMissing, match="Run make lab"):
        ivy.folder("kafka")


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with (
        pytest.raises(common.ToolMissing, match=rf"{blocked}.* can't be written"),
        common.locked(blocked / "cache"),
    ):
        pass


def test_long_work_is_told_where_lines_cannot_be_replaced_too(capsys):
    common.say("building Pulumi")
    common.say_last("set-up     done")
    assert capsys.readouterr().out == "set-up     building Pulumi …\nset-up     done\n"


def test_set_up_needs_the_standard_library_alone():
    """The system's python has none of the project's packages when set-up starts."""
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(common.ROOT)!r}); import toolchain.__main__",
        ],
        check=True,
    )
