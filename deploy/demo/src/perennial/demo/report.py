"""The report: one document, written as JSON and shown as tables."""

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from perennial.demo import journeys
from perennial.demo.check import Check
from perennial.demo.client import Json
from perennial.demo.figures import Shown
from perennial.demo.live import Traffic

FILE = "demo-report.json"
MEGABYTE = 1_000_000


def compose(shown: Shown, traffic: Traffic, performance: Json, memory: dict[str, int], checks: list[Check]) -> Json:
    """Everything that the platform shows and that the run measured."""
    orders, loyalty, messages = (shown.summaries[name] for name in ("orders", "loyalty", "messages"))
    return {
        "as_of": shown.as_of.isoformat(),
        "customers": shown.summaries["customers"]["customers"],
        "events": shown.summaries["customers"]["events"],
        "orders": {key: orders[key] for key in ("orders", "gmv", "aov", "currency")},
        "months": orders["months"],
        "tiers": loyalty["tiers"],
        "rfm": shown.summaries["rfm"]["groups"],
        "segments": {name: segment["size"] for name, segment in shown.segments.items()},
        "journeys": {journeys.CART: traffic.cart_funnel, journeys.WINBACK: traffic.winback_funnel},
        "messages": {"sent": messages["sent"], "not_sent": messages["not_sent"]},
        "points": {name: loyalty[name] for name in ("earned", "spent", "reversed", "expired", "liability")},
        "tickets": shown.summaries["tickets"],
        "performance": performance,
        "memory_mb": {name: round(used / MEGABYTE, 1) for name, used in memory.items()},
        "checks": [_plain(check) for check in checks],
        "equal": all(check.equal for check in checks),
    }


def write(report: Json, home: Path) -> Path:
    """Replace the report of the last run."""
    path = home / FILE
    path.write_text(json.dumps(report, indent=1, default=str))
    return path


def show(report: Json, console: Console) -> None:
    """The report as tables, the self-check last."""
    console.print(_pairs("The platform shows", _overview(report)))
    console.print(_rows("Months (local)", ("month", "orders", "GMV"), _months(report)))
    groups = [(row["group"], row["customers"], row["monetary"]) for row in report["rfm"]]
    console.print(_rows("RFM groups", ("group", "customers", "monetary"), groups))
    console.print(_pairs("Tiers", report["tiers"]))
    console.print(_pairs("Segments", report["segments"]))
    for name, funnel in report["journeys"].items():
        console.print(_pairs(f"Journey: {name}", _funnel(funnel)))
    console.print(_pairs("Messages", _messages(report["messages"])))
    console.print(_pairs("Points", report["points"]))
    console.print(_pairs("Tickets", _tickets(report["tickets"])))
    console.print(_pairs("Speed", report["performance"]))
    memory = report["memory_mb"]
    console.print(_pairs("Memory, MB", {**memory, "total": round(sum(memory.values()), 1)}))
    console.print(_checks(report["checks"]))


def _plain(check: Check) -> Json:
    return {**vars(check), "equal": check.equal}


def _overview(report: Json) -> Json:
    orders = report["orders"]
    money = {
        name: f"{Decimal(orders[key]):,.2f} {orders['currency']}" for name, key in (("GMV", "gmv"), ("AOV", "aov"))
    }
    return {"customers": report["customers"], "events": report["events"], "orders": orders["orders"], **money}


def _months(report: Json) -> list[tuple[Any, ...]]:
    return [(row["month"], row["orders"], f"{Decimal(row['gmv']):,.2f}") for row in report["months"]]


def _funnel(funnel: Json) -> Json:
    rows = {name: funnel[name] for name in ("enrolled", "active", "completed")}
    rows |= {f"exited: {reason}": count for reason, count in funnel["exited"].items()}
    for step in funnel["steps"]:
        outcomes = ", ".join(f"{name} {count:,}" for name, count in step["outcomes"].items())
        rows[f"  {step['id']} ({step['kind']})"] = f"{step['entered']:,}" + (f": {outcomes}" if outcomes else "")
    return rows


def _messages(messages: Json) -> Json:
    return {"sent": messages["sent"], **{f"not sent: {why}": n for why, n in messages["not_sent"].items()}}


def _tickets(tickets: Json) -> Json:
    return {**tickets["by_state"], **{name: value for name, value in tickets.items() if name != "by_state"}}


def _checks(checks: Iterable[Json]) -> Table:
    table = Table("check", "data files", "platform", "", title="Self-check", title_justify="left")
    for check in checks:
        verdict = "[green]equal" if check["equal"] else "[red]NOT EQUAL"
        table.add_row(check["name"], _cell(check["expected"]), _cell(check["actual"]), verdict)
        for difference in check["differences"]:
            table.add_row(f"  [red]{difference}", "", "", "")
    return table


def _pairs(title: str, pairs: Json) -> Table:
    return _rows(title, ("", ""), pairs.items())


def _rows(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    names = list(columns)
    table = Table(title=title, title_justify="left", show_header=any(names))
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index else "left")
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)
