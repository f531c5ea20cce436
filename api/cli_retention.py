"""`gridmap retention` and `gridmap erase`: how long texts of events are kept, and erasing them."""

import datetime as dt

import click

from api.operator import Tool

ACTOR = "operator"


@click.command()
@click.argument("category", required=False)
@click.argument("days", type=int, required=False)
@click.option("--reason", default="", help="理由 Why; needed to change it.")
@click.pass_obj
def retention(tool: Tool, category: str | None, days: int | None, reason: str) -> None:
    """保存期限 How many days texts of a category are kept after closing; with CATEGORY and DAYS: set it."""
    from gridmap.retention import periods, set_period  # noqa: PLC0415  # --help need not pay for the core

    if category is not None:
        if days is None:
            raise click.UsageError("CATEGORY comes with DAYS")
        with tool.database().writer() as session:
            set_period(session, category, days, actor=ACTOR, reason=reason)
    with tool.database().reader() as session:
        for name, kept in periods(session).items():
            click.echo(f"{name:<12} {kept}")


@click.command()
@click.argument("events", type=int, nargs=-1)
@click.option(
    "--due", is_flag=True, help="到期 Everything whose time has come, now instead of within the day."
)
@click.option("--reason", default="", help="理由 Why these; needed for single events.")
@click.option("--commit", is_flag=True, help="执行 Erase; without it only the number is said.")
@click.pass_obj
def erase(tool: Tool, events: tuple[int, ...], due: bool, reason: str, commit: bool) -> None:
    """清除正文 Erase title, description, address, contact, attachments of EVENTS, or of all due. There is no way back.

    The events stay, with place, times and history. A dry run without --commit.
    """
    from gridmap import retention as texts  # noqa: PLC0415  # --help need not pay for the core
    from gridmap.access import Scope  # noqa: PLC0415  # the same

    if bool(events) == due:
        raise click.UsageError("Name events, or say --due")
    erased, now = 0, dt.datetime.now(dt.UTC)
    while True:
        with tool.database().writer() as session:
            if due:
                some = texts.erase_due(session, now, most=texts.BLOCK if commit else 2**31 - 1)
            else:
                some = texts.erase(session, events, actor=ACTOR, reason=reason, scope=Scope(None))
            if not commit:
                session.rollback()
        erased += some
        if not (due and commit and some):
            break
    click.echo(
        f"清除 erased {erased}"
        if commit
        else f"可清除 would erase {erased}（试运行 dry run; --commit erases）"
    )
