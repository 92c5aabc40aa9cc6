"""A member's own pages: signed in with the token, seeing and doing what the reception lets them, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from heliotrope import __version__
from heliotrope.errors import NotAllowed, SignInRefused
from heliotrope.run.people.policy import Act
from heliotrope.run.people.reception import Reception, Visit
from heliotrope.web.doors import bodies
from heliotrope.web.doors.neighbour import NAMES
from heliotrope.web.draw import words
from heliotrope.web.pages import runpage, screens
from heliotrope.web.pages.html import render

ROOT = "/member"
COOKIE = "helio-member"
SIGNED_IN_S = 12 * 3600
ROWS = 200
FORM_BYTES = 4096
# With no referrer at all, browsers would keep from us whose page a form was on.
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application, reception: Reception) -> None:
    pages = MemberPages(reception)
    app.router.add_get(f"{ROOT}/", pages.jobs)
    app.router.add_get(f"{ROOT}/runs/{{name}}", pages.run)
    app.router.add_post(f"{ROOT}/sign-in", pages.sign_in)
    app.router.add_post(f"{ROOT}/sign-out", pages.sign_out)
    app.router.add_post(f"{ROOT}/runs/{{name}}/cancel", pages.cancel)


class MemberPages:
    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def jobs(self, request: web.Request) -> web.StreamResponse:
        try:
            visit = await self._visit(request)
        except SignInRefused as error:
            wrong = f"{error.what}. {error.hint}" if COOKIE in request.cookies else ""
            return _page("member_sign_in.html", "Sign in", who=None, wrong=wrong)
        found = await asyncio.to_thread(self._reception.jobs, visit, ROWS)
        return _page("member_jobs.html", "Jobs", who=visit.who, rows=screens.run_rows(found), root=ROOT)

    async def run(self, request: web.Request) -> web.StreamResponse:
        visit, name = await self._visit(request), request.match_info["name"]
        return await asyncio.to_thread(self._run, visit, name)

    def _run(self, visit: Visit, name: str) -> web.Response:
        view = self._reception.show(visit, name)
        lets = self._reception.lets(visit, view.workload.id)
        said = self._reception.log(visit, name, None).text if Act.READ_LOG in lets else ""
        page = runpage.build(view, now_s=time.time(), output=(said, ""))
        stops = Act.CANCEL in lets and view.run is not None and not view.run.state.ended
        title = words.command(page.workload.command)
        return _page("member_run.html", title, who=visit.who, page=page, root=ROOT, stops=stops)

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """The token goes into a cookie that no script reads and no other page's request carries."""
        _own(request)
        form = await _form(request)
        token = form.get("token", "").strip()
        try:
            await asyncio.to_thread(self._reception.enter, token, request.remote or "")
        except SignInRefused as error:
            answer = _page("member_sign_in.html", "Sign in", who=None, wrong=f"{error.what}. {error.hint}")
            answer.set_status(401)
            return answer
        answer = _seen_at(f"{ROOT}/")
        answer.set_cookie(
            COOKIE,
            token,
            max_age=SIGNED_IN_S,
            path=f"{ROOT}/",
            httponly=True,
            samesite="Strict",
            # Over plain HTTP it is kept by a browser on this machine alone.
            secure=request.secure or _host(request) not in NAMES,
        )
        return answer

    async def sign_out(self, request: web.Request) -> web.StreamResponse:
        _own(request)
        answer = _seen_at(f"{ROOT}/")
        answer.del_cookie(COOKIE, path=f"{ROOT}/")
        return answer

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        _own(request)
        visit, name = await self._visit(request), request.match_info["name"]
        job = await asyncio.to_thread(self._reception.cancel, visit, name)
        return _seen_at(f"{ROOT}/runs/{job}")

    async def _visit(self, request: web.Request) -> Visit:
        token = request.cookies.get(COOKIE, "")
        if not token:
            raise SignInRefused(
                "nobody is signed in here", hint=f"sign in at {ROOT}/ with the token of `helio member add`"
            )
        return await asyncio.to_thread(self._reception.enter, token, request.remote or "")


def _own(request: web.Request) -> None:
    """What changes something is asked by these pages themselves; browsers say whose page it was, in either way."""
    origin, whose = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "same-origin")
    if whose != "same-origin" or (origin is not None and urlsplit(origin).netloc != request.host):
        raise NotAllowed("another page asked for this", hint=f"go to {ROOT}/ and ask there")


async def _form(request: web.Request) -> dict[str, str]:
    body = await bodies.whole(request, FORM_BYTES)
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _host(request: web.Request) -> str:
    return request.host.rsplit(":", 1)[0].strip("[]")


def _seen_at(path: str) -> web.Response:
    """Done: what came of it is to be looked at there."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def _page(template: str, title: str, **context: object) -> web.Response:
    page = render(template, title=title, version=__version__, **context)
    return web.Response(text=page, content_type="text/html", headers=HEADERS)


def problem(what: str, cause: str, hint: str) -> web.Response:
    return _page("member_problem.html", "Problem", who=None, what=what, cause=cause, hint=hint)
