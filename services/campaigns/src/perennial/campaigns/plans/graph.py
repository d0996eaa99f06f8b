"""The steps as a graph: every target exists, every step is reached, nothing comes round again."""

from dataclasses import dataclass

from perennial.campaigns.plans.definition import Definition
from perennial.campaigns.plans.steps import EXIT, ConditionStep, ExitStep, SplitStep, Step
from perennial.common.problems import FieldError, Unprocessable


@dataclass(frozen=True)
class Edge:
    """One way out of a step: `outcome` takes it; `target` None leaves the journey."""

    outcome: str
    target: str | None
    pointer: str
    named: bool


def edges(definition: Definition) -> dict[str, list[Edge]]:
    """The ways out of each step. `exit` is the step of that id, or the end of the journey."""
    ids = {step.id for step in definition.steps}
    following = [step.id for step in definition.steps[1:]] + [None]
    return {
        step.id: _out(step, after, f"/definition/steps/{index}", ids)
        for index, (step, after) in enumerate(zip(definition.steps, following, strict=True))
    }


def _out(step: Step, after: str | None, at: str, ids: set[str]) -> list[Edge]:
    def edge(outcome: str, named: str | None, where: str) -> Edge:
        target = after if named is None else None if named == EXIT and EXIT not in ids else named
        return Edge(outcome, target, f"{at}/{where}", named is not None)

    match step:
        case ConditionStep():
            return [edge("yes", step.yes, "yes"), edge("no", step.no, "no")]
        case SplitStep():
            return [edge(arm.name, arm.next, f"arms/{index}/next") for index, arm in enumerate(step.arms)]
        case ExitStep():
            return []
        case _:
            return [edge("", step.next, "next")]


def check(definition: Definition) -> None:
    """Raises Unprocessable naming the step or the target at fault."""
    if errors := _faults(definition):
        detail = "; ".join(f"{error.pointer.strip('/')}: {error.detail}" for error in errors)
        raise Unprocessable(detail, code="invalid_journey", errors=errors)


def _faults(definition: Definition) -> list[FieldError]:
    steps = [step.id for step in definition.steps]
    twice = [i for i, name in enumerate(steps) if name in steps[:i]]
    if twice:
        return [_fault(f"/definition/steps/{i}/id", f"{steps[i]} names two steps", "duplicate_step") for i in twice]
    graph = edges(definition)
    unknown = [edge for out in graph.values() for edge in out if edge.target is not None and edge.target not in graph]
    if unknown:
        return [_fault(edge.pointer, f"there is no step {edge.target}", "unknown_step") for edge in unknown]
    reached, loops = _walk(graph, steps[0])
    faults = [_fault(edge.pointer, f"leads back to {edge.target}", "loop") for edge in loops]
    unreached = [i for i, name in enumerate(steps) if name not in reached]
    return faults + [_fault(f"/definition/steps/{i}", "no step leads here", "unreachable_step") for i in unreached]


def _walk(graph: dict[str, list[Edge]], first: str) -> tuple[set[str], list[Edge]]:
    """What can be reached, and the edges that lead back to a step on the way to them."""
    reached, done, loops = {first}, set[str](), list[Edge]()
    trail = [(first, iter(graph[first]))]
    while trail:
        name, out = trail[-1]
        edge = next(out, None)
        if edge is None:
            done.add(name)
            trail.pop()
        elif edge.target is None or edge.target in done:
            continue
        elif edge.target in reached:
            loops.append(edge)
        else:
            reached.add(edge.target)
            trail.append((edge.target, iter(graph[edge.target])))
    return reached, loops


def _fault(pointer: str, detail: str, code: str) -> FieldError:
    return FieldError(pointer=pointer, detail=detail, code=code)
