"""Deployments that AWS refuses, or that break the next one, seen in the template alone. `cargo xtask test "template"` runs them."""

import pathlib
import unittest

from evaluated_template import EvaluatedTemplate
from translate_template import translate

ROOT = pathlib.Path(__file__).parent.parent
TEMPLATE = translate(ROOT / "template.yaml")
# Parameters that a person may choose together.
DEPLOYMENTS = [
    {},
    {"Mails": "immediate"},
]


def deployed(**parameters):
    return EvaluatedTemplate(TEMPLATE, **parameters)


class Template(unittest.TestCase):
    def test_nothing_refers_to_what_a_condition_leaves_out(self):
        for parameters in DEPLOYMENTS:
            with self.subTest(parameters):
                self.assertEqual(deployed(**parameters).dangling(), [])

    def test_mails_immediate_has_a_window_for_its_batches(self):
        """Lambda refuses a batch size above 10 without a window of at least a second."""
        for mails in ("digest", "immediate"):
            for name, source in deployed(Mails=mails).of_type("AWS::Lambda::EventSourceMapping").items():
                if source["BatchSize"] > 10:
                    self.assertGreaterEqual(source["MaximumBatchingWindowInSeconds"], 1, f"{name} with Mails={mails}")


if __name__ == "__main__":
    unittest.main()
