"""Checks the Markdown pages: every link has a target, and every command of ours can be parsed.

`cargo xtask test documents` builds the programs and runs this.
"""

import os
import pathlib
import re
import shlex
import subprocess
import unittest

ROOT = pathlib.Path(__file__).parent.parent
PROGRAMS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
README_LINES = 150
# The spelling of a program in the pages, and its binary.
OURS = {
    "cargo xtask": "xtask",
    "tick-consumer": "tick-consumer",
    "target/debug/tick-consumer": "tick-consumer",
    "sudo /opt/ticklake/bin/tick-consumer": "tick-consumer",
    "$C": "tick-consumer",
    "tick-producer": "tick-producer",
    "target/debug/tick-producer": "tick-producer",
}


def pages():
    listed = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True)
    return [ROOT / name for name in listed.split()]


def without_code(text):
    return re.sub(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`", "", text, flags=re.M | re.S)


def anchors(page):
    """Returns the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    text = without_code(page.read_text(encoding="utf-8"))
    found = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
    return [link or source for link, source in found]


def commands(text):
    """Yields the commands of a page that run one of our programs: the binary and its arguments."""
    blocks = re.findall(r"^```sh\n(.*?)^```|((?:^ {4}.*\n)+)", text, re.M | re.S)
    for fenced, indented in blocks:
        for line in (fenced or indented).replace("\\\n", " ").splitlines():
            line = re.sub(r"\s#.*", "", line.strip()).removesuffix("&")
            for written, binary in OURS.items():
                if line.startswith(written + " "):
                    yield binary, shlex.split(line.removeprefix(written))


class Docs(unittest.TestCase):
    def test_every_link_leads_somewhere(self):
        for page in pages():
            for link in links(page):
                if re.match(r"\w+:", link):
                    continue
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve() if path else page
                with self.subTest(page=page.relative_to(ROOT), link=link):
                    self.assertTrue(target.exists(), "no such file")
                    if anchor:
                        self.assertIn(anchor, anchors(target), "no such heading")

    def test_every_page_is_linked(self):
        linked = {(page.parent / link.partition("#")[0]).resolve() for page in pages() for link in links(page)}
        unlinked = [page.relative_to(ROOT) for page in pages() if page not in linked and page.name != "README.md"]
        self.assertEqual(unlinked, [])

    def test_the_readme_stays_short(self):
        lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        self.assertLessEqual(len(lines), README_LINES)

    def test_every_command_of_ours_can_be_typed(self):
        """`--help` comes last, so that the parser has read everything before it."""
        seen = set()
        for page in pages():
            for binary, arguments in commands(page.read_text(encoding="utf-8")):
                seen.add(binary)
                with self.subTest(page=page.relative_to(ROOT), binary=binary, arguments=arguments):
                    parsed = subprocess.run([PROGRAMS / binary, *arguments, "--help"], capture_output=True, text=True)
                    self.assertEqual(parsed.returncode, 0, parsed.stderr)
        self.assertEqual(seen, set(OURS.values()), "pages show no command of the others")


if __name__ == "__main__":
    unittest.main()
