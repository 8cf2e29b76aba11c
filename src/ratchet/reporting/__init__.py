"""What an iteration bought, at a glance: one page from run directories, that needs no network.

`findings_in` reads; `ratchet.charts` draws; `build_page` writes HTML.
"""

from ratchet.reporting.findings import Findings, findings_in

__all__ = ["Findings", "findings_in"]
