"""``opsnb approve``, ``return``, ``reject``, ``veto``: what somebody says about a request."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from opsnb.cli.output import json_option, print_json, workspace
from opsnb.cli.telling import tell_request

ABOUT = {
    "approve": "Approve exactly this request with exactly the plan that it has now.",
    "return": "Send a request back: it has to be planned anew, for the reason in the comment.",
    "reject": "Refuse a request, as one of those who are asked about it; it ends.",
    "veto": "Stop a request whatever others said, as anybody who may approve it; it ends.",
}


def _command(name: str) -> click.Command:
    def called(ctx: click.Context, request: str, as_json: bool, **body: str | None) -> None:
        from opsnb.client import connect

        said = {key: value for key, value in body.items() if value}
        shown = connect(workspace(ctx)).post(f"/api/requests/{quote(request, safe='')}/{name}", said)
        print_json(shown) if as_json else tell_request(shown)

    made: Any = json_option(click.pass_context(called))
    if name != "veto":  # which is one's own, and about all of a request
        made = click.option("--step", metavar="NAME", help="The step; the one that you may handle otherwise.")(made)
        made = click.option("--for", "on_behalf_of", metavar="USER", help="For whom, as their delegate.")(made)
    made = click.option("--plan", metavar="DIGEST", help="The beginning of the plan's digest that you read.")(made)
    needed = name != "approve"
    made = click.option("--comment", metavar="TEXT", required=needed, help="Why; kept, and shown to everybody.")(made)
    made = click.argument("request", metavar="REQUEST")(made)
    return click.command(name, help=ABOUT[name])(made)


approve, return_, reject, veto = (_command(name) for name in ABOUT)
