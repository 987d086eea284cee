"""`sparekey client`: API clients."""

from typing import Annotated

import typer

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.sessions import clients
from sparekey.cli.server import output
from sparekey.cli.server.command import call_of, command, new_group, now, open_server
from sparekey.cli.server.tokens.tokens import read_date

app = new_group("API clients: programs that verify passcodes over REST.")


@command(app, "add", "client add vpn --domain Sales --addresses 192.0.2.0/24")
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new client.")],
    domain: Annotated[
        str, typer.Option(help="The client can verify users of this domain and the domains below.")
    ] = TOP_DOMAIN,
    addresses: Annotated[str, typer.Option(help="Networks that it can call from, separated by commas. [any]")] = "",
    expires: Annotated[str, typer.Option(metavar="DATE", help="2027-12-31, or an RFC 3339 time. [never]")] = "",
) -> None:
    """Add a client and show its key once. The server stores only a hash."""
    call = call_of(ctx)
    end = read_date(expires)
    with open_server(call) as server:
        key = server.run(clients.add_client, name, domain, addresses, end, now=now())
    if call.json:
        output.put_json("client", {"name": name, "domain": domain, "key": key.reveal()})
        return
    print(key.reveal())
    output.say(f"This is the key of {name}. It is not shown again. Send it as: Authorization: Bearer KEY")
    output.say(f"The client can verify passcodes. To allow more: {call.again} role grant ROLE --client {name}")


@command(app, "list", "client list")
def list_some(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The maximum number.")] = 100,
    after: Annotated[str, typer.Option(metavar="NAME", help="Start after this name.")] = "",
) -> None:
    """List clients by name."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [
            {
                "name": client.name,
                "domain": client.domain,
                "addresses": client.addresses,
                "expires": output.rfc3339(client.expires_at),
                "revoked": output.rfc3339(client.revoked_at),
            }
            for client in server.run(clients.list_clients, limit, after)
        ]
    call.put_list("clients", rows, ["name", "domain", "addresses", "expires", "revoked"])


@command(app, "revoke", "client revoke vpn")
def revoke(
    ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="The name in `client list`.")]
) -> None:
    """Revoke the key of a client."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(clients.revoke_client, name, now=now())
    call.done(f"Revoked the key of {name}.", "client", name=name, revoked=True)
