"""The code still has what each mutation of the fault harness breaks."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from tests.changed_code import ROOT
from tests.faults.mutations import MUTATIONS, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_the_code_and_leaves_it_readable(
    tmp_path: Path, mutation: Mutation
) -> None:
    file = tmp_path / mutation.file
    file.parent.mkdir(parents=True)
    shutil.copy(ROOT / mutation.file, file)

    mutation.apply(tmp_path)

    assert file.read_text() != (ROOT / mutation.file).read_text()
    ast.parse(file.read_text())


def test_a_mutation_of_code_that_is_no_more_is_refused(tmp_path: Path) -> None:
    file = tmp_path / MUTATIONS[0].file
    file.parent.mkdir(parents=True)
    file.write_text("pass\n")

    with pytest.raises(ValueError, match="a-timeout-is-a-decline"):
        MUTATIONS[0].apply(tmp_path)
