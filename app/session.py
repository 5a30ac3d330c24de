"""What one visitor's visit keeps: the own photo, and what is on screen.

A ``Visit`` lives in a ``gr.State``: one for each open page, never shared. What was made ahead
(``app.frames``) is shown without the server: the browser notes what it shows, and
``Visit.present`` computes it when another tab needs it.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from qann_core import ParameterError
from qann_core.networks.tiling import return_free_memory

from .choice import OPENING, OWN, Setting, within
from .compress import Result, compress_photo
from .cores import PATIENCE_SECONDS
from .examples import credits, example_photo
from .filler import filler
from .photos import Photo, latents_pool, on_disk, quick_copy

KEEP_SECONDS = 30 * 60
"""A visit that is not used for so long is forgotten."""

_TIDY_SECONDS = 3
"""How often unused visits are forgotten, and free memory is given back."""

KEPT_RESULTS = 8
"""How many visits' results stay in memory; those of other visits are made again when needed."""


@dataclass(eq=False)
class Visit:
    """One visitor's session.

    Attributes:
        photo, result: what the server computed last for this visit; None at first.
        own, own_large: the visitor's photo at most at QUICK_MEGAPIXELS, and at PAGE_MEGAPIXELS.
        incoming: a file that came in and was not read yet, and what its photo is called.
        noted: what the browser shows, where it is not ``photo`` and ``result``.
        stop_sweep: the visitor's wish that a running sweep of curves should end.
        anatomy: the photo at one N opened up, by app.inside.anatomy.
        inside_levels: N as it was last set in the tab Inside, or shown when that was opened.
        newest: serial of the newest wish that the browser told of.
        measure: which measure the tab Rate-distortion shows.
        used: when it was last used, by ``time.monotonic``.
    """

    photo: Photo | None = None
    result: Result | None = None
    own: Photo | None = None
    own_large: Photo | None = None
    incoming: tuple[str, str] | None = None
    noted: Setting | None = None
    stop_sweep: bool = False
    anatomy: object | None = None
    inside_levels: int | None = None
    newest: int = 0
    measure: str = ""
    used: float = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Held while an answer is made, of which a visit has one at a time.

        Raises:
            ParameterError: when another one takes too long.
        """
        if not self._lock.acquire(timeout=PATIENCE_SECONDS):
            raise ParameterError("Your last move is still being worked on; please try again later.")
        self.used = time.monotonic()
        try:
            yield
        finally:
            self._lock.release()

    def __deepcopy__(self, memo: object) -> Visit:
        """Gradio gives each page a copy of the first visit, which is empty."""
        return Visit()

    def forget(self) -> None:
        """Frees everything."""
        _with_photos.discard(self)
        for photo in (self.own, self.own_large):
            if photo is not None:
                latents_pool.drop(photo.key)
                filler.forget(photo)
        self.photo = self.result = self.own = self.own_large = None
        self.noted = self.anatomy = None

    def bring(self, photo: Photo) -> None:
        """Takes the visitor's own photo in, in place of the one before."""
        self.forget()
        _with_photos.add(self)
        self.own = quick_copy(photo)
        self.own_large = photo if self.own is photo else on_disk(photo)

    def photo_of(self, setting: Setting) -> Photo:
        """The photo of a setting, with its choice.

        Raises:
            ParameterError: when it is the visitor's own and was forgotten, or there is no such one.
        """
        if setting.photo == OWN:
            photo = self.own_large if setting.large else self.own
            if photo is None:
                raise ParameterError(
                    f"Your photo is no longer here: after {KEEP_SECONDS // 60} minutes without a "
                    "move, or when the page restarts, photos are forgotten. Please choose it again."
                )
        elif self.photo is not None and self.photo.bundled and self.photo.name == setting.photo:
            photo = self.photo
        elif setting.photo in [credit.name for credit in credits()]:
            photo = example_photo(setting.photo)
        else:
            raise ParameterError(f"There is no photo called {setting.photo!r} in the gallery.")
        photo.use(setting.choice)
        return photo

    def take(self, photo: Photo, result: Result) -> None:
        """The server's new result is what the visitor sees."""
        _tidying()
        if photo is not self.photo:
            self.anatomy = None
        self.photo, self.result, self.noted = photo, result, None
        _recent.use(self)

    def setting_of(self, photo: Photo, result: Result) -> Setting:
        """What a result of this visit was made with, so that it can be made again."""
        name = photo.name if photo.bundled else OWN
        large = photo is self.own_large and photo is not self.own
        return Setting(name, result.levels, large, result.choice)

    def rest(self) -> None:
        """Keeps of the result only what it takes to make it again."""
        if self.photo is not None and self.result is not None:
            self.noted = self.setting_of(self.photo, self.result)
        self.result = self.anatomy = None

    def present(self, seen: Setting | None = None) -> tuple[Photo, Result]:
        """What the visitor sees; computed now where the browser shows it from files made ahead.

        Args:
            seen: what the browser says that it shows.

        Raises:
            ParameterError: when it is the visitor's own photo and was forgotten.
        """
        with self.alone():
            setting = seen or self.noted
            if setting is None:
                if self.photo is not None and self.result is not None:
                    return self.photo, self.result
                setting = OPENING
            photo = self.photo_of(setting)
            levels = within(setting.levels, OPENING.levels, setting.choice.model)
            shown = self.at(photo, levels)
            if shown is None:
                shown = compress_photo(photo, levels)
            self.take(photo, shown)
            return photo, shown

    def at(self, photo: Photo, levels: int) -> Result | None:
        """The result that is there, where it is this photo's at this N by the photo's choice."""
        shown = self.result
        if shown is None or photo is not self.photo:
            return None
        return shown if (shown.levels, shown.choice) == (levels, photo.choice) else None


_with_photos: set[Visit] = set()
"""Visits with a photo of their own. Gradio forgets sessions, but does not tell of each."""


def forget_unused() -> None:
    """Forgets visits that have not been used for KEEP_SECONDS."""
    for visit in list(_with_photos):
        if time.monotonic() - visit.used > KEEP_SECONDS and visit._lock.acquire(blocking=False):
            visit.forget()
            visit._lock.release()


@cache
def _tidying() -> None:
    def go_on() -> None:
        while True:
            time.sleep(_TIDY_SECONDS)
            forget_unused()
            return_free_memory()

    threading.Thread(target=go_on, name="tidying", daemon=True).start()


class _RecentVisits:
    """The visits that were used last; those that no longer belong to them rest."""

    def __init__(self) -> None:
        self._visits: OrderedDict[int, weakref.ref[Visit]] = OrderedDict()
        self._lock = threading.Lock()

    def use(self, visit: Visit) -> None:
        """The visit has a result now."""
        with self._lock:
            self._visits.pop(id(visit), None)
            self._visits[id(visit)] = weakref.ref(visit)
            full = len(self._visits) > KEPT_RESULTS
            oldest = self._visits.popitem(last=False)[1]() if full else None
        if oldest is not None:
            oldest.rest()


_recent = _RecentVisits()
