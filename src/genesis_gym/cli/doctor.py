"""`genesis-gym doctor`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from tyro.conf import arg

if TYPE_CHECKING:
    from genesis_gym.tools.doctor import Finding


@dataclass
class Doctor:
    """Check whether this machine can run Genesis, how fast, and what is missing; exit status 1 for a fault."""

    quick: Annotated[bool, arg(help="Skip the checks that need a scene: rendering and throughput.")] = False
    json: Annotated[bool, arg(help="Print the findings as one JSON object.")] = False

    def run(self, console: Console) -> int:
        """Run the command; the exit status is 1 if there is a fault."""
        from genesis_gym.tools.doctor import examine
        from genesis_gym.tools.selfcheck import examine_scenes

        console.print("Checking the machine …")
        findings = examine()
        if not self.quick:
            console.print("Rendering and stepping scenes, about 20 s …")
            findings += examine_scenes()
        faults = sum(finding.remedy is not None for finding in findings)
        if self.json:
            print(json.dumps({"faults": faults, "findings": [dataclasses.asdict(f) for f in findings]}))
        else:
            _print_findings(findings, faults)
        return int(faults > 0)


def _print_findings(findings: list[Finding], faults: int) -> None:
    """Print one line for each finding, and below a fault, which is marked by `!`, its remedy."""
    out = Console(highlight=False, markup=False, soft_wrap=True)
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        if finding.remedy is None:
            out.print(f"  {finding.subject:{width}}  {finding.state}")
        else:
            out.print(f"! {finding.subject:{width}}  {finding.state}", style="red")
            out.print(f"  {'':{width}}  → {finding.remedy}", style="bold")
    out.print()
    out.print(f"Faults, marked by '!': {faults}" if faults else "No faults found.")
