"""Write the renderings of the example's run in docs/examples/ from its JSON."""

from __future__ import annotations

from pathlib import Path

from python_tsan.render.registry import JSON, RENDERINGS, Context
from python_tsan.render.source import source_reader
from python_tsan.result.codec import decode_result

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "examples"
DOCUMENT = FOLDER / "tally_racy.json"
HOME = "/src"  # where the repository was in that run
ENDINGS = {
    "terminal": "txt",
    "sarif": "sarif",
    "junit": "junit.xml",
    "html": "html",
    "markdown": "md",
    "github": "github.txt",
    JSON: "json",
}


def rendered(name: str) -> bytes:
    """Return the example's run in one format."""
    result = decode_result(DOCUMENT.read_bytes(), name=str(DOCUMENT))
    source_lines = source_reader([ROOT / "examples"])
    context = Context(root=HOME, source_lines=lambda file, line: source_lines(file.replace(HOME, str(ROOT)), line))
    return RENDERINGS[name].render(result, context)


def file_of(name: str) -> Path:
    """Return the file of one format."""
    return FOLDER / f"tally_racy.{ENDINGS[name]}"


def main() -> None:
    """Write each rendering that differs and name it."""
    for name in RENDERINGS:
        file, data = file_of(name), rendered(name)
        if not file.is_file() or file.read_bytes() != data:
            file.write_bytes(data)
            print(f"written: {file.relative_to(ROOT)}")  # noqa: T201 -- the command's output


if __name__ == "__main__":
    main()
