"""The guides in docs/ name what the template has, and their sums add up. `cargo xtask test "template"` runs this."""

import re
import unittest

from test_template import ROOT, TEMPLATE, deployed

DOCS = ROOT / "docs"
GUIDES = ["deploying-with-least-privilege.md", "lake-formation.md", "msk-serverless.md", "alternatives.md", "graviton.md", "adr/0003-how-the-crawl-grows.md"]


def text(name):
    return (DOCS / name).read_text(encoding="utf-8")


def rows(name):
    """Returns the cells of all table rows of a guide, without their emphasis."""
    lines = (line for line in text(name).splitlines() if line.startswith("| "))
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]


class Guides(unittest.TestCase):
    def test_outputs_resources_and_parameters_exist(self):
        for page in DOCS.rglob("*.md"):
            named = page.read_text(encoding="utf-8")
            self.assertLessEqual(set(re.findall(r"\$\(out (\w+)\)", named)), TEMPLATE["Outputs"].keys(), page.name)
            self.assertLessEqual(set(re.findall(r"\$\(role (\w+)\)", named)), TEMPLATE["Resources"].keys(), page.name)
        for name in GUIDES:
            self.assertLessEqual(set(re.findall(r'[`"]([A-Z]\w+)=', text(name))), TEMPLATE["Parameters"].keys(), name)

    def test_whoever_asks_the_catalog_has_a_grant(self):
        """A role that calls Glue for a table needs a grant of Lake Formation, too."""
        resources = deployed().resources
        asking = {name for name, resource in resources.items() if resource["Type"].startswith("AWS::IAM::") and ":table/" in str(resource.get("Properties"))}
        self.assertEqual(asking, {"CrawlerRole", "StartCrawlerRole", "CurateRole", "ConsumerRole", "AnalystPolicy"})
        for principal in ("$(role CrawlerRole)", "$(out StartCrawlerRoleName)", "$(out CurateRoleName)", "ConsumerRoleName", "role/ANALYST"):
            self.assertIn(principal, text("lake-formation.md"))

    def test_the_decision_about_the_crawl_is_what_the_template_does(self):
        for mode in ("typed", "inferred"):
            (crawler,) = deployed(CrawlerMode=mode).of_type("AWS::Glue::Crawler").values()
            self.assertEqual(crawler["RecrawlPolicy"], {"RecrawlBehavior": "CRAWL_EVERYTHING"}, mode)

    def test_the_growth_of_the_crawl_follows_from_its_listing(self):
        """17,280 objects a day, 1,000 keys in 150 ms, 2 DPU at 0.44 for ten minutes at least, 0.005 a thousand requests."""
        growth = [row for row in rows("adr/0003-how-the-crawl-grows.md") if re.match(r"[\d.,]+( million)?$", row[0])]
        self.assertGreaterEqual(len(growth), 4)
        for objects, days, listing, crawl, requests in growth:
            count = float(objects.split()[0].replace(",", "")) * (1e6 if "million" in objects else 1)
            seconds = count / 1000 * 0.15
            unit = 60 if "min" in listing else 1
            self.assertAlmostEqual(count / 17280, float(days.replace(",", "")), delta=1)
            self.assertAlmostEqual(seconds / unit, float(listing.split()[0]), delta=0.6)
            self.assertAlmostEqual(24 * max(seconds, 600) / 3600 * 2 * 0.44, float(crawl), delta=0.02)
            self.assertAlmostEqual(24 * count / 1000 * 0.005 / 1000, float(requests), delta=0.005)

    def test_the_cost_of_msk_serverless_adds_up(self):
        costs = [row for row in rows("msk-serverless.md") if re.match(r"[\d.]+$", row[-1])]
        *parts, total = costs
        for column in (1, 2):
            self.assertAlmostEqual(sum(float(part[column]) for part in parts), float(total[column]), places=2)

    def test_versions_of_calls_are_those_of_the_librdkafka_that_is_built(self):
        lock = (ROOT / "Cargo.lock").read_text(encoding="utf-8")
        (version,) = re.findall(r'name = "rdkafka-sys"\nversion = "[\d.]+\+([\d.]+)"', lock)
        self.assertIn(f"librdkafka {version}", text("msk-serverless.md"))


if __name__ == "__main__":
    unittest.main()
