# SPDX-License-Identifier: Apache-2.0
"""The dashboard in deploy/grafana asks for nothing that /metrics does not have."""
import json
import re
from pathlib import Path

import requests

DASHBOARD = Path(__file__).resolve().parents[2] / "deploy/grafana/tidings.json"


def test_the_metrics_of_the_dashboard_exist(server):
    metrics = requests.get(f"{server.url}/metrics", timeout=10).text
    shown = {}
    for line in metrics.splitlines():
        match = re.match(r"([a-z_:]+)(?:\{(.*)\})? ", line)
        if match:
            shown.setdefault(match[1], set()).update(re.findall(r'(\w+)="', match[2] or ""))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    wanted = 0
    for panel in panels:
        assert panel["title"] and panel["targets"]
        for target in panel["targets"]:
            names = re.findall(r"\b((?:tidings|process)_[a-z_]+)\{", target["expr"])
            assert names, target["expr"]
            wanted += len(names)
            for name in names:
                assert name in shown, f"{panel['title']}: {name}"
            for label in re.findall(r"by \((\w+)\)", target["expr"]):
                assert label in shown[names[0]], f"{panel['title']}: {names[0]} has no label {label}"
    assert wanted > 20
