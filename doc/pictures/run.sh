#!/usr/bin/env bash
# Makes the pictures of the README anew: quickstart.svg, what examples/quickstart.sh prints from the first order on, and flow.svg, the
# diagram of doc/flow.md as Mermaid draws it in Debian's Chromium.  (The plots are made by test/bench/run.sh.)
# Needs what the quick start needs, python3, npm and chromium.  Look at both before you commit them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

bash "$root/examples/quickstart.sh" >"$work/quickstart.txt"
sed -n '/^An order that does not/,/^=> Nothing else/p' "$work/quickstart.txt" |
	python3 "$here/terminal.py" 'examples/quickstart.sh' >"$work/quickstart.svg"

cp "$root"/test/documents/package*.json "$work"
(cd "$work" && npm ci --silent --ignore-scripts)
sed -n '/^```mermaid$/,/^```$/{/^```/d;p;}' "$root/doc/flow.md" >"$work/flow.mmd"
python3 - "$work/flow.mmd" >"$work/page.html" <<'PYTHON'
import json
import sys

print(f"""<!DOCTYPE html><meta charset="utf-8"><script src="node_modules/mermaid/dist/mermaid.min.js"></script><body><script>
mermaid.initialize({{ startOnLoad: false, htmlLabels: false, flowchart: {{ htmlLabels: false }}, deterministicIds: true, theme: 'neutral' }})
mermaid.render('flow', {json.dumps(open(sys.argv[1], encoding="utf-8").read())}).then(({{ svg }}) => {{ document.body.innerHTML = svg }})
</script>""")
PYTHON
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update \
	--disable-sync --allow-file-access-from-files --user-data-dir="$work/chromium" --virtual-time-budget=20000 --dump-dom "file://$work/page.html" \
	2>"$work/chromium.log" >"$work/page.dom"
python3 - "$work/page.dom" >"$work/flow.svg" <<'PYTHON'
import re
import sys
import xml.dom.minidom

svg = re.search(r"<svg.*</svg>", open(sys.argv[1], encoding="utf-8").read(), re.S)
if not svg:
    sys.exit("Mermaid drew nothing")
# What the browser prints is HTML; a picture is XML, and has a ground of its own.
text = re.sub(r"<br>", "<br/>", svg[0]).replace("&nbsp;", "\u00a0").replace('style="', 'style="background-color: white; ', 1)
xml.dom.minidom.parseString(text)
print(text)
PYTHON
cp "$work/quickstart.svg" "$work/flow.svg" "$here"
