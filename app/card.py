"""The preview card that other sites show of a link to the page, in place of Gradio's own."""

from __future__ import annotations

import re
from functools import cache
from html import escape

from gradio.route_utils import get_root_url
from PIL import Image, ImageOps
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .compare.words import OPENING_SPLIT
from .frames import folder, opening, version

SIZE = (1200, 630)
"""What the sites ask for."""

_GRADIOS = re.compile(rb"<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>\s*")


class PreviewCard:
    """Middleware: the page's own HTML says its title and shows its picture in links to it."""

    def __init__(self, app: ASGIApp, title: str, description: str) -> None:
        self._app = app
        self._texts = {"title": title, "description": description}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on; of the page itself, with other ``meta`` elements."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            return await self._app(scope, receive, send)
        start: Message = {}
        body = b""

        async def changed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            root = get_root_url(Request(scope), "/", scope.get("root_path"))
            body = _GRADIOS.sub(b"", body).replace(b"<head>", b"<head>" + self._meta(root), 1)
            MutableHeaders(raw=start["headers"])["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, changed)

    def _meta(self, root: str) -> bytes:
        said = {
            **{f"og:{name}": text for name, text in self._texts.items()},
            "og:type": "website",
            "og:url": f"{root}/",
            "og:image": f"{root}/{picture()}",
            "og:image:width": str(SIZE[0]),
            "og:image:height": str(SIZE[1]),
            "twitter:card": "summary_large_image",
        }
        lines = (f'<meta property="{k}" content="{escape(v)}">' for k, v in said.items())
        return "".join(lines).encode()


@cache
def picture() -> str:
    """The address of the card's picture: the opening result, quantized only and restored."""
    sides = opening()["sides"]
    sheet = Image.new("RGB", SIZE, "white")
    line = round(SIZE[0] * OPENING_SPLIT / 100)
    for side, box in (("quantized", (0, 0, line - 2)), ("restored", (line + 2, 0, SIZE[0]))):
        with Image.open(folder() / sides[side]["url"].removeprefix("frames/")) as image:
            filled = ImageOps.fit(image, SIZE, Image.Resampling.LANCZOS, centering=(0.5, 0.06))
        left, top, right = box
        sheet.paste(filled.crop((left, top, right, SIZE[1])), (left, top))
    sheet.save(folder() / version() / "card.jpg", quality=88)
    return f"frames/{version()}/card.jpg"
