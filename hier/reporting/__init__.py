"""A comparison as one self-contained HTML file: no script, nothing loaded from elsewhere."""

from hier.reporting.write import write_report

__all__ = ["write_report"]
