"""`genesis-gym doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console


@dataclass
class Doctor:
    """Tell whether this machine can run Genesis, and what is missing."""

    def run(self, console: Console) -> int:
        """Do it; 1 when something is missing."""
        from genesis_gym.runtime.doctor import examine

        findings = examine()
        for finding in findings:
            remedy = f"  →  {finding.remedy}" if finding.remedy else ""
            print(f"{finding.subject:18} {finding.state}{remedy}")
        return int(any(finding.remedy for finding in findings))
