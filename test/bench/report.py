"""How are the figures shown?  As a table in Markdown, as JSON with all that was measured, and as plots in SVG."""

import dataclasses
import datetime
import json
import os
import platform

import plots


@dataclasses.dataclass
class Run:
    """What all sections have in common."""

    size: str  # 'trial', 'short' or 'long'
    rounds: int
    date: datetime.datetime
    settings: dict  # of the cluster
    missing: list  # peers that are not installed
    versions: dict  # name -> version
    machine: dict  # what it was measured on


@dataclasses.dataclass
class Section:
    """What one file of goals/ measured."""

    name: str
    title: str
    rows: list  # of measure.Row
    seconds: float = 0
    failure: str = ""  # what went wrong, in a line
    traceback: str = ""


def versions(server):
    """Of what was measured, as far as it is installed."""
    found = {"PostgreSQL": server.value("postgres", "SHOW server_version")}
    connection = server.connect("postgres")
    cursor = connection.cursor()
    cursor.execute("SELECT name, default_version FROM pg_available_extensions WHERE name IN ('domev', 'pgq') ORDER BY name")
    found.update(cursor.fetchall())
    connection.close()
    return found


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 ** 30
    return {"CPU": models[0] if models else platform.machine(), "cores": len(os.sched_getaffinity(0)), "memory": f"{memory:.0f} GB",
            "kernel": platform.release()}


def write(folder, run, sections):
    """report.md, report.json and the plots.  Plots of an earlier run that this one did not measure go."""
    for name in plots.TITLES:
        if os.path.exists(os.path.join(folder, name + ".svg")):
            os.remove(os.path.join(folder, name + ".svg"))
    rows = [row for section in sections for row in section.rows]
    drawn = plots.draw(folder, rows)
    with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as file:
        json.dump(as_json(run, sections), file, indent=1, ensure_ascii=False, default=str)
        file.write("\n")
    with open(os.path.join(folder, "report.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(as_markdown(run, sections, drawn)) + "\n")


def as_json(run, sections):
    content = dataclasses.asdict(run)
    content["sections"] = []
    for section in sections:
        content["sections"].append({**dataclasses.asdict(section), "rows": [{**dataclasses.asdict(row), "met": row.met} for row in section.rows]})
    return content


# --- Markdown


def as_markdown(run, sections, drawn):
    rows = [row for section in sections for row in section.rows]
    met = [row.met for row in rows if row.met is not None]
    lines = ["# domev beside its peers", "",
             "Made by `test/bench/run.sh`; [README.md](../README.md) says what is measured, and how to read this.", "",
             f"**{sum(met)} goals met, {len(met) - sum(met)} missed.**", ""]
    lines += [f"**{section.name} failed**, and its rows are missing: `{section.failure}`\n"
              for section in sections if section.failure]
    lines += facts(run)
    for section in sections:
        lines += ["", f"## {section.title}", ""] + (table(section.rows) if section.rows else ["Nothing was measured."])
        names = list(dict.fromkeys(row.plot for row in section.rows if row.plot in drawn))
        lines += [f"\n![{plots.TITLES[name]}]({name}.svg)" for name in names]
    return lines


def facts(run):
    version_text = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    machine_text = f"{run.machine['CPU']}, {run.machine['cores']} cores, {run.machine['memory']}, Linux {run.machine['kernel']}"
    settings = ", ".join(f"{name} = {value or quoted(value)}" for name, value in run.settings.items()
                         if name not in ("port", "unix_socket_directories", "output_plugin_libraries"))
    lines = [f"- {run.date:%Y-%m-%d}, {run.size} form, {run.rounds} rounds (some measurements take more)",
             f"- {version_text}", f"- {machine_text}", f"- settings: {settings}"]
    if run.missing:
        lines.append(f"- not installed, and left out: {', '.join(run.missing)}")
    return lines + ["- figures: median (least - greatest)"]


def quoted(value):
    return f"'{value}'"


def table(rows):
    lines = ["| goal | what | domev | beside | ratio | wanted | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        others = [name for name in row.figures if name not in (row.ours, row.peer)]
        lines.append("| " + " | ".join([
            row.goal, row.title + (f"<br>*{row.note}*" if row.note else ""), figure(row, row.ours),
            "<br>".join(figure(row, name) for name in ([row.peer] if row.peer else []) + others),
            ratio_text(row), limit_text(row), result_text(row)]) + " |")
    return lines


def figure(row, name):
    """A figure with its name and its spread."""
    if name not in row.figures:
        return name
    shown = row.figures[name]
    unit = " " + row.unit if row.unit else ""
    return f"{name}: {short(shown['median'])}{unit} ({short(shown['low'])} - {short(shown['high'])})"


def short(number):
    """Three digits, and never an exponent."""
    if number == 0:
        return "0"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}" if abs(number) >= 0.1 else f"{number:.3g}"


def ratio_text(row):
    if row.ratio is None:
        return ""
    spread = f" ({row.spread[0]:.2f} - {row.spread[1]:.2f})" if row.spread else ""
    digits = 4 if row.met is False and f"{row.ratio:.2f}" == f"{row.limit:.2f}" else 2  # a goal just missed must not look met
    return f"{row.ratio:.{digits}f}{spread}"


def limit_text(row):
    if row.limit is None:
        return ""
    return f"{'≤' if row.at_most else '≥'} {row.limit:.2f}"


def result_text(row):
    if row.limit is None:
        return ""
    return {True: "met", False: "**missed**", None: "not measured"}[row.met]


def one_line(row):
    """For the terminal."""
    parts = [f"{row.goal or '-':3} {row.title}:", figure(row, row.ours)]
    if row.peer:
        parts.append(f"| {figure(row, row.peer)} | ratio {ratio_text(row)}")
    return " ".join(parts + [limit_text(row), result_text(row).strip("*")]).rstrip()
