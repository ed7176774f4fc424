"""Checks the dependencies in Cargo.lock: licences, bans and sources against deny.toml, and the Rust that they need."""

import json
import pathlib
import re
import subprocess
import tomllib
import unittest

ROOT = pathlib.Path(__file__).parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def is_allowed(expression, allowed):
    """Evaluates an SPDX expression; `/` is Cargo's older spelling of OR."""
    words = re.findall(r"\(|\)|[\w.+-]+", expression.replace("/", " OR "))
    python = []
    for position, word in enumerate(words):
        if word in ("(", ")"):
            python.append(word)
        elif word in ("AND", "OR"):
            python.append(word.lower())
        elif word != "WITH" and words[position - 1 : position] != ["WITH"]:
            python.append(str(word in allowed))
    return eval(" ".join(python))


class Dependencies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        metadata = subprocess.check_output(["cargo", "metadata", "--format-version", "1", "--locked"], cwd=ROOT)
        cls.packages = json.loads(metadata)["packages"]
        cls.rules = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))

    def test_every_licence_is_allowed(self):
        allowed = self.rules["licenses"]["allow"]
        refused = [f"{p['name']}: {p['license']}" for p in self.packages if not is_allowed(p["license"] or "none", allowed)]
        self.assertEqual(refused, [], "add the licence to deny.toml if the project may use it")

    def test_no_crate_is_banned(self):
        names = {package["name"] for package in self.packages}
        banned = {rule["crate"]: rule["reason"] for rule in self.rules["bans"]["deny"] if rule["crate"] in names}
        self.assertEqual(banned, {}, "deny.toml bans these")

    def test_every_crate_comes_from_crates_io(self):
        foreign = [p["name"] for p in self.packages if p["source"] not in (None, CRATES_IO)]
        self.assertEqual(foreign, [], "pin a published version instead")

    def test_the_pages_name_a_rust_that_compiles_every_crate(self):
        as_numbers = lambda version: tuple(int(number) for number in version.split("."))
        workspace = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]
        declared = workspace["package"]["rust-version"]
        newer = [p["name"] for p in self.packages if as_numbers(p["rust_version"] or "0") > as_numbers(declared)]
        self.assertEqual(newer, [], f"these need a later Rust than {declared}, the rust-version in Cargo.toml")
        for page, words in (("README.md", f"Rust {declared} or later"), ("CONTRIBUTING.md", f"Rust from {declared} on")):
            self.assertIn(words, (ROOT / page).read_text(encoding="utf-8"))

    def test_expressions_are_evaluated(self):
        allowed = ["MIT", "ISC", "Apache-2.0"]
        for expression, expected in [
            ("MIT", True),
            ("GPL-3.0", False),
            ("GPL-3.0 OR MIT", True),
            ("Unlicense/MIT", True),
            ("MIT AND GPL-3.0", False),
            ("ISC AND (GPL-3.0 OR MIT)", True),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", True),
            ("none", False),
        ]:
            self.assertEqual(is_allowed(expression, allowed), expected, expression)


if __name__ == "__main__":
    unittest.main()
