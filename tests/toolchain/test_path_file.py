"""The `.pth` that puts the checkout on the import path of its `.venv`."""

import os
import subprocess
import sys
import venv
from pathlib import Path

from toolchain.venv import write_path_file


def test_a_korean_checkout_imports_in_the_c_locale(tmp_path: Path) -> None:
    checkout = tmp_path / "실습 공간"
    venv.create(checkout / ".venv", symlinks=True)
    (checkout / "marker.py").touch()
    release = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    write_path_file(checkout / ".venv" / "lib" / release / "site-packages")
    done = subprocess.run(
        [checkout / ".venv/bin/python", "-c", "import marker; print(ascii(marker.__file__))"],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ascii(str(checkout / "marker.py"))
