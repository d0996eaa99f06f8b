"""One enrolment's way through its steps, as far as it comes without asking anybody."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from perennial.campaigns.enrolments.queries import Move, StepRow, Walking
from perennial.campaigns.enrolments.split import draw
from perennial.campaigns.messages.service import Wish
from perennial.campaigns.plans.plan import Plan
from perennial.campaigns.plans.steps import ConditionStep, ExitStep, MessageStep, SplitStep, Step, WaitStep


@dataclass
class Walk:
    """`at` is the instant at which the step was due; rules are asked as of it and waits begin there."""

    start: Walking
    plan: Plan
    at: datetime
    step: str = ""
    state: str = "active"
    due_at: datetime | None = None
    reason: str | None = None
    rows: dict[str, StepRow] = field(default_factory=dict)
    withheld: list[Wish] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin where the enrolment stands."""
        self.step = self.start.step

    @property
    def current(self) -> Step:
        """The step on which it stands."""
        return self.plan.steps[self.step]

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in {"completed", "exited"}

    def enter(self) -> None:
        """Walk on until a rule or a message must be asked, or until it rests or ends."""
        while self.state == "active":
            match self.current:
                case WaitStep() as wait:
                    self.rest(self.at + wait.for_)
                case SplitStep() as split:
                    self._draw(split)
                case ExitStep() as leave:
                    self._note(leave.reason or "completed")
                    self._end("exited" if leave.reason else "completed", leave.reason or "completed")
                case ConditionStep() | MessageStep():
                    return

    def rest(self, until: datetime | None) -> None:
        """Stay on the step until an instant, or until somebody wakes it."""
        self.state, self.due_at = "waiting", until
        self._note(None)

    def leave(self, outcome: str) -> None:
        """Take the way of an outcome and walk on."""
        self._note(outcome)
        self.state, self.due_at = "active", None
        edge = self.plan.after(self.step, outcome)
        if edge.target is not None:
            self.step = edge.target
            self.enter()
        elif edge.named:
            self._end("exited", self._exit_reason(outcome))
        else:
            self._end("completed", "completed")

    def wish(self, step: MessageStep, known: UUID | None = None) -> Wish:
        """A message that this walk wants to send, or to send at last."""
        start = self.start
        return Wish(self.plan, step, start.id, start.via, start.customer_id, start.cause, known)

    def move(self, now: datetime) -> Move:
        """Where the enrolment stands from now on."""
        return Move(self.start.id, self.step, self.state, self.due_at, now if self.ended else None, self.reason)

    def _draw(self, split: SplitStep) -> None:
        arm = draw(self.plan.journey_id, split, self.start.customer_id)
        self.withheld += [self.wish(step) for step in self.plan.withheld(split, arm)]
        self.leave(arm.name)

    def _exit_reason(self, outcome: str) -> str:
        match self.current:
            case ConditionStep():
                return "condition_met" if outcome == "yes" else "condition_not_met"
            case SplitStep() as split:
                control = any(arm.name == outcome and self.plan.is_control(split, arm) for arm in split.arms)
                return "control_group" if control else f"arm:{outcome}"
            case _:
                return "exit"

    def _end(self, state: str, reason: str) -> None:
        self.state, self.reason, self.due_at = state, reason, None

    def _note(self, outcome: str | None) -> None:
        left: Any = None if outcome is None else self.at
        position = self.plan.positions[self.step]
        self.rows[self.step] = StepRow(self.start.id, self.step, position, self.at, left, outcome)
