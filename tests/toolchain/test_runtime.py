from __future__ import annotations

import pytest

from python_tsan.toolchain.runtime import find_runtime, runtime_folders


def test_the_runtime_is_where_the_compiler_says(make_fake):
    fake = make_fake()
    assert find_runtime(fake.candidate) == fake.folder / "lib" / "runtime"


def test_a_compiler_without_the_runtime_prints_the_bare_name(make_fake):
    assert find_runtime(make_fake(runtime=False).candidate) is None


def test_a_linker_script_leads_to_the_library(make_fake, tmp_path):
    fake = make_fake("gcc-13", number="13.2.1")
    library = tmp_path / "libtsan.so.2.0.0"
    script = fake.folder / "lib" / "runtime"
    script.write_text(f"INPUT ( {library} )\n")
    assert find_runtime(fake.candidate) is None
    library.write_bytes(b"\x7fELF")
    assert find_runtime(fake.candidate) == library


def test_a_link_is_followed(make_fake, tmp_path):
    fake = make_fake("gcc-12", number="12.2.0")
    (fake.folder / "lib" / "runtime").rename(tmp_path / "real")
    (fake.folder / "lib" / "runtime").symlink_to(tmp_path / "real")
    assert find_runtime(fake.candidate) == tmp_path / "real"


@pytest.mark.parametrize("name", ["clang-19", "gcc-12"])
def test_the_folders_that_a_package_would_change_are_absolute(make_fake, name):
    fake = make_fake(name, number="12.2.0")
    folders = runtime_folders(fake.candidate)
    assert fake.folder / "lib" in folders
    assert all(folder.is_absolute() for folder in folders)
