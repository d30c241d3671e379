"""A warm process has every kernel that a question can need."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import reference

# In an interpreter of its own: in this one, other tests have loaded the kernels before.
SCRIPT = """
import sys
from pathlib import Path
from beton.model.outcome import Outcome
from beton.model.signal import from_dict
from beton.warehouse.core import kernels
from beton.warehouse.core.count import count_core
from beton.warehouse.core.frame import frame
from beton.warehouse.core.match import warm
from beton.warehouse.landmark import Clock
from beton.warehouse.reader import Warehouse

def loaded():
    found = {name: getattr(kernel, "signatures", None) for name, kernel in vars(kernels).items()}
    return {name: len(known) for name, known in found.items() if known is not None and not name.startswith("_")}

core = Warehouse(Path(sys.argv[1])).core()
warm(core)
before = loaded()
assert before and all(before.values()), before
rare, number = ({"property": "page_path", "op": "=", "value": core.event_columns["page_path"].words[0]},
    {"property": "amount", "op": ">", "value": 1})
common = rare | {"op": "!="}
for where in ([], [rare], [common], [number], [rare, number], [common, number]):
    for event, op in (("start", "count >="), ("start", "active days >="), ("*", "active weeks >=")):
        leaf = {"event": event, "op": op, "value": 1, "within_days": 7, "where": where}
        for unit in ("user", "account"):
            when = {"all": [leaf, {"property": "plan", "op": "!=", "value": "x"}, {"not": {"event": "invite"}}]}
            signal = from_dict({"name": "x", "unit": unit, "when": when})
            cut = Clock(7 * 86400, 86400, 20 * 86400, 2 * 10**9, 0)
            count_core(core, signal, frame(core, unit, Outcome(), cut), cut.landmark_s, {}, lambda *_: None)
assert loaded() == before, (before, loaded())
"""


def test_no_question_loads_a_kernel_after_warming(tmp_path: Path) -> None:
    world = reference.random_world(random.Random(2), companies=6)
    world.acts += reference.anchor_acts()
    reference.build(world, tmp_path)
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
