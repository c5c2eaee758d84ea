#!/usr/bin/env python3
"""An application that keeps its own passwords and has Sallyport do the second step.

Standard library only; see the README beside it. It keeps everything in memory:
a real one has a database for each of the dictionaries.
"""

import hashlib
import hmac
import html
import http.server
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookies import CookieError, SimpleCookie

SALLYPORT = os.environ["SALLYPORT_URL"]
KEY = os.environ["SALLYPORT_KEY"]
SELF = os.environ.get("APP_URL", "http://localhost:9000")
SECURE = "; Secure" if SELF.startswith("https:") else ""
SALT = secrets.token_bytes(16)


def hash_of(password):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 600_000)


PASSWORDS = {"maya": hash_of("orchard at dawn")}  # the name is the login at Sallyport, too
PENDING = {}  # name and end by nonce: the password was right, the second step is under way
SESSIONS = {}  # name by the value of the cookie


class Refused(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None  # the key goes where SALLYPORT_URL says, and nowhere else


OPENER = urllib.request.build_opener(NoRedirect)


def call(path, body):
    """Calls the API with the key. Never tried again: what is sent counts once."""
    request = urllib.request.Request(
        SALLYPORT + "/api/v1" + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + KEY, "Content-Type": "application/json"},
    )
    try:
        with OPENER.open(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        try:
            raise Refused(json.load(refusal)["code"]) from None
        except (ValueError, KeyError):
            raise Refused("internal") from None
    except (OSError, ValueError) as problem:
        raise Refused("busy") from problem


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/":
            name = SESSIONS.get(self.cookie("orchard"))
            if name:
                self.page(200, "Signed in as " + name)
            else:
                self.form(200)
        elif url.path == "/signed-in":
            self.signed_in(urllib.parse.parse_qs(url.query).get("handle", [""])[0])
        else:
            self.page(404, "There is no such page.")

    def do_POST(self):
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none") or self.headers.get("Origin", SELF) != SELF:
            self.page(403, "That form is not of this site.")
            return
        try:
            length = min(int(self.headers.get("Content-Length", 0)), 10_000)
        except ValueError:
            length = 0
        fields = urllib.parse.parse_qs(self.rfile.read(length).decode(errors="replace"))
        if self.path == "/signin":
            self.sign_in(fields.get("name", [""])[0], fields.get("password", [""])[0])
        else:
            self.page(404, "There is no such page.")

    def sign_in(self, name, password):
        """The first step: the application's own."""
        # The same work for an unknown name.
        if not hmac.compare_digest(hash_of(password), PASSWORDS.get(name, b"")):
            self.form(422, "That is not right.")
            return
        nonce = secrets.token_urlsafe(24)
        try:
            attempt = call("/attempts", {"user": name, "first_factor": "verified_by_caller", "nonce": nonce, "return_to": SELF + "/signed-in"})
        except Refused as refusal:  # and nobody gets in
            print("second step:", refusal, file=sys.stderr)
            if refusal.code == "not_found":
                self.page(403, "You have no account for the second step.")
            else:
                self.page(503, "The second step does not work at the moment.")
            return
        if attempt["state"] == "denied":
            self.page(403, attempt["detail"])
            return
        for old in [n for n, (_, until) in list(PENDING.items()) if time.time() > until]:
            PENDING.pop(old, None)
        PENDING[nonce] = (name, time.time() + 15 * 60)
        # Where policy asks nothing more of this person, they come back at once.
        to = attempt["return_to"] if attempt["state"] == "complete" else attempt["url"]
        # Of this browser only; Lax, since it comes back from another site.
        self.redirect(to, [f"pending={nonce}; Path=/; HttpOnly; SameSite=Lax{SECURE}"])

    def signed_in(self, handle):
        """Where the browser comes back with the handle."""
        nonce = self.cookie("pending")
        name, until = PENDING.pop(nonce, ("", 0))
        if not name or time.time() > until:
            self.form(403, "Sign in here first.")  # perhaps a link that somebody else made
            return
        try:
            got = call("/handles/redeem", {"handle": handle})
        except Refused as refusal:
            print("handle:", refusal, file=sys.stderr)
            self.form(403, "Sign in again.")
            return
        # All four: for this browser, this person, by this flow, and with two steps.
        if got["nonce"] != nonce or got["user"]["login"] != name or got["kind"] != "verified_by_caller" or got["acr"] != "aal2":
            self.form(403, "Sign in again.")
            return
        session = secrets.token_urlsafe(32)  # a new one at each sign-in
        SESSIONS[session] = name
        self.redirect("/", [f"orchard={session}; Path=/; HttpOnly; SameSite=Lax{SECURE}", "pending=; Path=/; Max-Age=0"])

    def cookie(self, name):
        try:
            jar = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return ""
        return jar[name].value if name in jar else ""

    def redirect(self, to, cookies):
        self.send_response(303)
        self.send_header("Location", to)
        for one in cookies:
            self.send_header("Set-Cookie", one)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def page(self, status, text, more=""):
        body = f"<!doctype html><title>Orchard</title><p>{html.escape(text)}</p>{more}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer")  # the handle stands in an address
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def form(self, status, problem=""):
        self.page(status, problem, '<form method="post" action="/signin"><label>Name <input name="name"></label> '
                  '<label>Password <input name="password" type="password"></label> <button>Sign in</button></form>')

    def log_message(self, format, *args):
        pass  # the handle stands in an address


if __name__ == "__main__":
    port = urllib.parse.urlsplit(SELF).port or 9000
    http.server.ThreadingHTTPServer(("127.0.0.1", port), App).serve_forever()
