"""A real SMTP server (aiosmtpd) for tests.

Prints `{"port": N}` as its first line, writes every mail that it takes as one JSON line to the file of --mails, and
ends when its standard input is closed, so that it never outlives the test that started it.
"""

import argparse
import asyncio
import base64
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", help="the file that mails are written to")
    parser.add_argument("--starttls", action="store_true", help="offer STARTTLS and insist on it")
    parser.add_argument("--implicit", action="store_true", help="TLS from the first byte")
    parser.add_argument("--cert", help="the certificate chain, PEM")
    parser.add_argument("--key", help="its private key, PEM")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="insist on this login")
    parser.add_argument("--gossip", metavar="WORDS", help="refuse every login, in these words")
    parser.add_argument("--never-greet", action="store_true", help="accept connections and say nothing")
    parser.add_argument("--reject-rcpt", metavar="ADDRESS", help="there is no such mailbox here")
    parser.add_argument("--drop-after-data", action="store_true", help="take the mail, then cut the connection")
    parser.add_argument("--greylist", action="store_true", help="put every recipient off once")
    return parser.parse_args()


class Handler:
    def __init__(self, options):
        self.options = options
        self.known = set()

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address == self.options.reject_rcpt:
            return "550 5.1.1 no such mailbox"
        if self.options.greylist and address not in self.known:
            self.known.add(address)
            return "451 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.options.mails:
            with open(self.options.mails, "a", encoding="utf-8") as mails:
                mails.write(json.dumps(record(server, session, envelope)) + "\n")
        if self.options.drop_after_data:
            server.transport.abort()
        return "250 taken"


def record(server, session, envelope):
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    bodies = {kind: mail.get_body((kind,)) for kind in ("plain", "html")}
    return {
        "from": envelope.mail_from,
        "to": envelope.rcpt_tos,
        "headers": {name: str(value) for name, value in mail.items()},
        "text": bodies["plain"] and bodies["plain"].get_content(),
        "html": bodies["html"] and bodies["html"].get_content(),
        "attachments": [
            {
                "filename": part.get_filename(),
                "content_type": part.get_content_type(),
                "content": base64.b64encode(part.get_payload(decode=True)).decode(),
            }
            for part in mail.iter_attachments()
        ],
        "authenticated": bool(session.authenticated),
        "encrypted": server.transport.get_extra_info("ssl_object") is not None,
    }


def authenticator(options):
    user, password = options.auth.split(":", 1)

    def check(server, session, envelope, mechanism, data):
        if options.gossip:
            return AuthResult(success=False, handled=False, message=f"535 5.7.8 wrong: {options.gossip}")
        good = data.login == user.encode() and data.password == password.encode()
        return AuthResult(success=good, handled=good)

    return check


def protocol_factory(options, context):
    handler = Handler(options)
    settings = {"enable_SMTPUTF8": True}
    if options.starttls:
        settings.update(tls_context=context, require_starttls=True)
    if options.auth:
        # With implicit TLS aiosmtpd does not know that the connection is encrypted.
        settings.update(
            authenticator=authenticator(options), auth_required=True, auth_require_tls=options.starttls
        )
    return lambda: asyncio.Protocol() if options.never_greet else SMTP(handler, **settings)


async def main():
    options = arguments()
    context = None
    if options.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.cert, options.key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        protocol_factory(options, context), "127.0.0.1", 0, ssl=context if options.implicit else None
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


# It warns of what the tests ask for.
warnings.simplefilter("ignore")
logging.getLogger("mail.log").setLevel(logging.ERROR)
asyncio.run(main())
