"""The handlers of the stories on the local page."""

from __future__ import annotations

import asyncio

from aiohttp import web

from streams.definitions.problems import FlowFileError
from streams.tools.preview.choices import language_name
from streams.tools.preview.emails import EmailFailed
from streams.tools.preview.page_parts import FRAME_POLICY, PAGE_POLICY, html_page
from streams.tools.preview.pages import Pages, failed_frame
from streams.tools.preview.placed_problems import place
from streams.tools.preview.state import PreviewState
from streams.tools.preview.story_choice import StoryChoice
from streams.tools.preview.story_pages import choices_of, email_html, story_path, story_values
from streams.tools.preview.story_player import StoryPlayer


class StoryServer:
    """The pages of stories.

    Args:
        state: the emails and the stories.
        pages: the frame around each page.
    """

    def __init__(self, state: PreviewState, pages: Pages) -> None:
        self._state, self._pages = state, pages

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the pages."""
        return [
            web.get("/stories", self._list),
            web.get("/story/{story}", self._story),
            web.get(r"/story/{story}/email/{number:\d{1,6}}", self._email),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        stories = await asyncio.to_thread(self._state.stories)
        problems = place(stories.files.problems, self._state.layers)
        shown = list(stories.stories.values())
        page = await asyncio.to_thread(
            self._pages.render,
            "stories.html.j2",
            "Stories",
            page="stories",
            stories=shown,
            story_problems=problems,
            root=self._state.root,
            language_name=language_name,
        )
        return html_page(page, PAGE_POLICY)

    async def _story(self, request: web.Request) -> web.Response:
        stories = await self._found(request)
        name, choice = request.match_info["story"], StoryChoice.of(request.query)
        try:
            page = await asyncio.to_thread(self._page, stories, name, choice)
        except FlowFileError:
            page = await asyncio.to_thread(
                self._pages.render, "story_failed.html.j2", stories.stories[name].title, page="stories"
            )
        return html_page(page, PAGE_POLICY)

    def _page(self, stories: StoryPlayer, name: str, choice: StoryChoice) -> str:
        played, address = stories.play(choice.options(name)), story_path(name)
        languages = list(
            dict.fromkeys(each for message in stories.emails.messages.values() for each in message.languages)
        )
        hidden = [
            (key, getattr(choice, key))
            for key in ("language", "days", "drafts", "width", "scheme")
            if getattr(choice, key)
        ]
        return self._pages.render(
            "story.html.j2",
            played.story.title,
            page="stories",
            choices=choices_of(address, choice, played, languages),
            address=address,
            query=choice.query,
            hidden=hidden,
            start=choice.start,
            width=choice.width,
            sender=self._state.settings.mail_from,
            frames=None,
            **story_values(played),
        )

    async def _email(self, request: web.Request) -> web.Response:
        stories, choice = await self._found(request), StoryChoice.of(request.query)
        name, number = request.match_info["story"], int(request.match_info["number"])
        try:
            html = await asyncio.to_thread(_frame, stories, name, choice, number)
        except KeyError:
            raise web.HTTPNotFound(text="the story has no email at this point") from None
        except (EmailFailed, FlowFileError) as error:
            html = failed_frame(str(error))
        return html_page(html, FRAME_POLICY)

    async def _found(self, request: web.Request) -> StoryPlayer:
        stories = await asyncio.to_thread(self._state.stories)
        if request.match_info["story"] not in stories.stories:
            raise web.HTTPNotFound(text="unknown story")
        return stories


def _frame(stories: StoryPlayer, name: str, choice: StoryChoice, number: int) -> str:
    played = stories.play(choice.options(name))
    return email_html(stories, played, number, "dark" if choice.scheme == "dark" else "light")
