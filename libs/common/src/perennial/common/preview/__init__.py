"""What a service would show after a change of the map, before anybody makes it.

A service declares `preview = Preview(…)`; `looking` lets its real reactions follow the change, aside.
"""

from perennial.common.preview.declaring import NOTHING, OF_CUSTOMERS, OF_VIAS, Preview

__all__ = ["NOTHING", "OF_CUSTOMERS", "OF_VIAS", "Preview"]
