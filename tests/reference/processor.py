"""The files that transformers 5 writes for a processor: python tests/reference/processor.py

Writes tests/fixtures/processor/processor_config.json with Florence2Processor.save_pretrained, of the bundled checkpoint.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from transformers import Florence2Processor

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "tests" / "fixtures" / "processor"

if __name__ == "__main__":
    processor = Florence2Processor.from_pretrained(ROOT / "checkpoints" / "nano")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        processor.save_pretrained(folder)
        assert not (Path(folder) / "preprocessor_config.json").exists()
        shutil.copy(Path(folder) / "processor_config.json", FOLDER)
