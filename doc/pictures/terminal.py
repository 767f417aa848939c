#!/usr/bin/env python3
"""How does text look in a terminal?  Reads what a program printed, writes it as an SVG; lines that are too long are wrapped.

Argument: the title of the window.  Sentences are shown bright, SQL and shell commands in blue, what was checked in green, all else grey.
"""

import re
import sys
import textwrap
from xml.sax.saxutils import escape

COLUMNS, WIDTH, HEIGHT, SIZE = 134, 7.23, 17, 12  # of a line, in characters; of a character, in pixels; of the letters
LEFT, TOP = 16, 52
NO_BREAK = "\u00a0"  # spaces at the start of a line, and several in a row, would be lost
COLOURS = {"sentence": "#f0f6fc", "command": "#79c0ff", "checked": "#7ee787", "output": "#b1bac4"}


def kind(line):
    """What a line of the quick start is."""
    if line.startswith(("=>", "   ")) and not line.startswith("    "):
        return "checked"
    if re.match(r"    \S", line):
        return "command"
    if re.match(r"[A-Z].*[.:]$", line):
        return "sentence"
    return "output"


def wrapped(text):
    """Pairs of kind and line, none longer than the window."""
    for line in text.splitlines():
        for piece in textwrap.wrap(line, COLUMNS, drop_whitespace=False, break_on_hyphens=False) or [""]:
            yield kind(line), piece


def picture(title, lines):
    width, height = round(2 * LEFT + COLUMNS * WIDTH), TOP + HEIGHT * len(lines) + 4
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">')
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>'
    for number, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        yield f'<circle cx="{20 + 18 * number}" cy="18" r="5.5" fill="{colour}"/>'
    yield f'<g font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{SIZE}">'
    yield f'<text x="{width / 2}" y="22" fill="#8b949e" text-anchor="middle">{escape(title)}</text>'
    for number, (what, line) in enumerate(lines):
        if line.strip():
            length = f' textLength="{len(line) * WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"' if len(line) > 1 else ""
            yield f'<text x="{LEFT}" y="{TOP + HEIGHT * number}" fill="{COLOURS[what]}"{length}>{escape(line.replace(" ", NO_BREAK))}</text>'
    yield "</g>"
    yield "</svg>"


if __name__ == "__main__":
    print("\n".join(picture(sys.argv[1], list(wrapped(sys.stdin.read().strip("\n"))))))
