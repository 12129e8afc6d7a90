"""The renderer of a mailer's settings: it has the brand of the templates, and an invalid brand ends the start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from streams.agents.renderers import open_renderer
from streams.mail.renderers.pool import RendererPool
from streams.mail.rendering.renderer import Renderer
from streams.settings import Settings
from tests.harness.commands import NOW, SENDER, TEMPLATES, command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A templates folder with a name of its own."""
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    (tmp_path / "templates" / "shared" / "brand.yaml").write_text("name: Teahouse\n")
    return tmp_path / "templates"


async def test_invalid_brand(folder: Path) -> None:
    """A mailer does not start with an invalid brand, and says where the error is. One that runs keeps its brand, also in new renderers."""
    pool = open_renderer(Settings(templates_dir=folder, mail_renderers=1), SENDER)
    assert isinstance(pool, RendererPool)
    (folder / "shared" / "brand.yaml").write_text("name: Teahouse\ncolors: {accent: white}\n")
    await pool.start()
    try:
        await pool.until_ready()
        (email,) = pool.compose([(command(), NOW)])
        assert b"Teahouse" in (await email).data
    finally:
        await pool.stop()
    with pytest.raises(
        SystemExit, match=r"cannot start: the brand of the emails .*\n.*brand\.yaml:2:18: error brand\.E006"
    ):
        open_renderer(Settings(templates_dir=folder, mail_renderers=1), SENDER)


def test_without_processes(folder: Path) -> None:
    """A mailer that renders itself has the same brand."""
    renderer = open_renderer(Settings(templates_dir=folder, mail_renderers=0), SENDER)
    assert isinstance(renderer, Renderer)
    assert "Teahouse" in renderer.render(command(), SENDER.links(command())).html
