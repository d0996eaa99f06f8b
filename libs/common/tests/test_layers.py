"""What imports what is no circle: a newcomer can begin at the bottom. Imports for types count as well."""

from graphlib import TopologicalSorter
from importlib.metadata import entry_points

import grimp

PACKAGES = ["perennial.common", *(f"perennial.{point.name}" for point in entry_points(group="perennial.services"))]


def _packages(module: str) -> set[str]:
    """Those that a module lies in: who imports it runs them first."""
    parts = module.split(".")
    return {".".join(parts[:length]) for length in range(3, len(parts))}


def test_no_module_knows_itself_by_way_of_others() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    known = {
        module: {
            name
            for imported in graph.find_modules_directly_imported_by(module)
            for name in {imported, *_packages(imported)} - _packages(module) - {module}
        }
        for module in graph.modules
    }
    assert len(known) > len(PACKAGES)
    TopologicalSorter(known).prepare()  # raises CycleError, with the circle
