"""`gridmap reassign`: stored events onto the boundaries in force now."""

import click

from api.operator import Tool
from gridmap.periods import moment


@click.command()
@click.option("--from", "since", help="自 Only what occurred at or after it: RFC 3339 with zone, or a date.")
@click.option("--to", "until", help="至 Only what occurred before it.")
@click.option("--area", help="区域 Only events in this area, by its code.")
@click.option("--closed", is_flag=True, help="含已结 Also events that are resolved, closed or rejected.")
@click.option("--commit", is_flag=True, help="入库 Store the result; without it nothing is changed.")
@click.pass_obj
def reassign(
    tool: Tool, since: str | None, until: str | None, area: str | None, closed: bool, commit: bool
) -> None:
    """重新归格 Place stored events by the boundaries in force now, and route anew what waits for nobody.

    All open events, unless told otherwise. Who has accepted an event keeps it; what was true when it occurred
    stays. A dry run without --commit.
    """
    from gridmap.access import Scope  # noqa: PLC0415  # the core takes half a second that --help need not pay
    from gridmap.audit import OPERATOR, Entry, record  # noqa: PLC0415  # the same
    from gridmap.reassignment import Which, reassign  # noqa: PLC0415  # the same

    which = Which(
        Scope(None),
        moment(since, "--from", tool.settings.time_zone),
        moment(until, "--to", tool.settings.time_zone),
        only_open=not closed,
        area=area,
    )
    with tool.database().writer() as session:
        done = reassign(
            session,
            which,
            tool.settings.time_zone,
            tool.settings.tolerance_m,
            lambda looked: click.echo(f"  {looked} …", err=True),
        )
        if commit:
            given = {"from": since, "to": until, "closed": closed, "moved": done.moved, "routed": done.routed}
            record(
                session,
                Entry(OPERATOR, "event.reassign", "events", area, detail={**given, "user": tool.user}),
            )
        else:
            session.rollback()
    click.echo(
        f"查看 looked at {done.looked_at} · 换格 moved {done.moved} · 改派 given to others {done.routed}"
    )
    click.echo("已入库 stored" if commit else "试运行，未入库 Dry run, nothing stored (--commit stores)")
