"""Files that hold secrets."""

import pytest

from localcloud import private


def test_a_private_file_is_its_owner_s_alone_and_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "token"
    private.write(path, "old")
    path.chmod(0o644)
    private.write(path, "geheim: 비밀")
    assert path.read_text(encoding="utf-8") == "geheim: 비밀"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UnicodeEncodeError):
        private.write(path, "half \ud800")
    assert path.read_text(encoding="utf-8") == "geheim: 비밀"
    assert list(tmp_path.iterdir()) == [path]
