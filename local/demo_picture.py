"""Runs `cargo xtask demo` and draws its output as docs/demo.svg.

Run it from the repository's root, after a first demo has installed the tools:

    .tools/venv/bin/python local/demo_picture.py
"""

import pathlib
import re
import subprocess
import sys

from rich.console import Console
from rich.text import Text

COMMAND = ["cargo", "xtask", "demo"]
PICTURE = pathlib.Path("docs/demo.svg")
WIDTH = 130
# A step's line begins with its name; other lines are indented.
STEP = re.compile(r"^(\w[\w ]{0,9}) +\S")


def main():
    # The output of `cargo` itself, such as "Compiling", goes to the terminal.
    demo = subprocess.run(COMMAND, stdout=subprocess.PIPE, text=True)
    sys.stdout.write(demo.stdout)
    if demo.returncode != 0:
        sys.exit("the demo failed; the picture stays as it is")
    console = Console(record=True, width=WIDTH, file=open("/dev/null", "w"))
    console.print(Text("$ " + " ".join(COMMAND), style="bold"))
    for line in demo.stdout.splitlines():
        # "doing … 20s" is a sign of life of a long step; a terminal overwrites it.
        if re.search(r" … \d+s$", line):
            continue
        text = Text(line)
        if step := STEP.match(line):
            text.stylize("bold cyan", 0, step.end(1))
        text.highlight_regex(r"  [\d.]+s$", "dim")
        console.print(text, no_wrap=True, crop=True)
    drawn = console.export_svg(title="ticklake")
    # Browsers load no fonts for a picture; the reader's own monospace font serves.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.S), encoding="utf-8")
    print(f"{PICTURE} is drawn")


if __name__ == "__main__":
    main()
