"""The table of reactions: what profile hears, and which verb answers."""

from perennial.common import orders
from perennial.common.contracts.campaigns import MessageSent
from perennial.common.contracts.identity import IdentifiersAssigned, ResolvedEvent
from perennial.common.contracts.loyalty import AccountsChanged, TiersChanged
from perennial.common.contracts.segments import MembershipsChanged
from perennial.common.contracts.tickets import TicketClosed, TicketMoved, TicketOpened
from perennial.common.messaging import on
from perennial.profile.rows import service as rows
from perennial.profile.sections import worker as sections
from perennial.profile.timeline import service as timeline
from perennial.profile.traits import service as traits

REACTIONS = (
    on(ResolvedEvent, timeline.record),
    on(ResolvedEvent, traits.record, types=["identify"]),
    on(ResolvedEvent, orders.record, types=["track"]),
    on(ResolvedEvent, rows.follow_events),  # takes customers' locks: the last of the hot ones
    on(AccountsChanged, sections.record_accounts),
    on(TiersChanged, sections.record_tiers),
    on(MembershipsChanged, sections.record_memberships),
    on(TicketOpened, sections.record_tickets),
    on(TicketMoved, sections.record_tickets),
    on(TicketClosed, sections.record_tickets),
    on(MessageSent, sections.count_messages),
    on(IdentifiersAssigned, rows.follow_moves),  # the last: see above
)
