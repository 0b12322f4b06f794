"""The scenes of the documentation's pictures use commands, options and menus that exist."""

import re
from pathlib import Path

import discord
import pytest
import simcord
from discord import app_commands

from playground import PLACES
from scripts.screenshots.scenes import STORIES
from scripts.screenshots.steps import Menu, Use

ROOT = Path(__file__).resolve().parents[2]
SCENES = [scene for story in STORIES for scene in story]
STEPS = [step for scene in SCENES for step in scene.steps]
NAMES = [scene.name for scene in SCENES if scene.name]


@pytest.mark.parametrize("step", [step for step in STEPS if isinstance(step, Use)], ids=lambda step: step.command)
async def test_commands_and_options_exist(env: simcord.Env, step: Use) -> None:
    group_name, name = step.command.split()
    group = env.bot.tree.get_command(group_name)
    assert isinstance(group, app_commands.Group)
    command = group.get_command(name)
    assert isinstance(command, app_commands.Command)
    options = {option.display_name: option for option in command.parameters}
    assert set(step.options) <= set(options)
    assert {option.display_name for option in command.parameters if option.required} <= set(step.options)
    for option, value in step.options.items():
        assert value in [choice.name for choice in options[option].choices] or not options[option].choices


async def test_menus_exist(env: simcord.Env) -> None:
    offered = {menu.name for menu in env.bot.tree.get_commands(type=discord.AppCommandType.message)}
    shown = {step.menu for step in STEPS if isinstance(step, Menu)}
    assert shown == offered


def test_scenes_play_in_places_of_the_playground() -> None:
    assert {scene.place for scene in SCENES} <= set(PLACES)


def test_every_picture_is_shown_once_and_every_shown_one_is_taken() -> None:
    assert len(set(NAMES)) == len(NAMES)
    shown = re.findall(r"images/([\w-]+)\.png", (ROOT / "docs" / "tour.md").read_text("utf-8"))
    assert sorted(shown) == sorted(NAMES)
    for name in NAMES:
        assert (ROOT / "docs" / "images" / f"{name}.png").is_file()
