"""What a server tells Prometheus, read with Prometheus' own parser."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families


class Metrics:
    """One reading of /metrics."""

    def __init__(self, endpoint, path="/metrics"):
        with urllib.request.urlopen(endpoint + path, timeout=10) as answer:
            self.content_type = answer.headers["Content-Type"]
            self.text = answer.read().decode()
        self.families = list(text_string_to_metric_families(self.text))
        self.samples = [sample for family in self.families for sample in family.samples]

    @property
    def names(self):
        """Of all families, as they are written: counters end in `_total`."""
        return {family.name + ("_total" if family.type == "counter" else "") for family in self.families}

    def of(self, name, **labels):
        """The sum of the samples with this name and these labels; there has to be one."""
        found = [s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()]
        assert found, f"{name} {labels} is not told"
        return sum(found)
