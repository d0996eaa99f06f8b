"""The table of reactions: what profile hears, and which verb answers."""

from typing import Any

from perennial.common import orders
from perennial.common.contracts.campaigns import EnrolmentEnded, EnrolmentStarted, MessageSent, MessageSuppressed
from perennial.common.contracts.gateway import IntakeMeasured as IntakeRejected
from perennial.common.contracts.identity import (
    CustomersMerged,
    CustomersSeparated,
    IdentifiersAssigned,
    IdentifierShared,
    IntakeMeasured,
    ResolvedEvent,
)
from perennial.common.contracts.loyalty import (
    AccountsChanged,
    ExpiryAnnounced,
    PointsEarned,
    PointsReturned,
    PointsReversed,
    PointsSpent,
    TierChanged,
    TiersChanged,
)
from perennial.common.contracts.segments import MembershipEntered, MembershipExited, MembershipsChanged
from perennial.common.contracts.tickets import (
    TicketAssigned,
    TicketBreached,
    TicketClosed,
    TicketMoved,
    TicketOpened,
    TicketRated,
)
from perennial.common.messaging import Reaction, on
from perennial.profile.computed import service as computed
from perennial.profile.consents import worker as consents
from perennial.profile.privacy.worker import RECEIPTS
from perennial.profile.quality.measuring import heard as quality
from perennial.profile.rows import service as rows
from perennial.profile.sections import worker as sections
from perennial.profile.tags import worker as tags
from perennial.profile.timeline import facts
from perennial.profile.timeline import service as timeline
from perennial.profile.traits import service as traits

# Each is one thing that happened to somebody.
TOLD = (
    MessageSent, MessageSuppressed, EnrolmentStarted, EnrolmentEnded, PointsEarned, PointsSpent, PointsReturned,
    PointsReversed, *sections.REDEMPTIONS, TierChanged, MembershipEntered, MembershipExited, TicketOpened,
    TicketAssigned, TicketMoved, TicketClosed, TicketBreached, TicketRated, CustomersMerged, CustomersSeparated,
    IdentifierShared,
)  # fmt: skip
TICKETS = (TicketOpened, TicketAssigned, TicketMoved, TicketClosed, TicketBreached, TicketRated)

REACTIONS: tuple[Reaction[Any], ...] = (
    on(ResolvedEvent, timeline.record),
    on(ResolvedEvent, traits.record, types=["identify"]),
    on(ResolvedEvent, computed.record),  # before the orders it looks up
    on(ResolvedEvent, orders.record, types=["track"]),
    on(ResolvedEvent, consents.record, names=consents.NAMES),
    on(ResolvedEvent, tags.note_words, types=["track"]),
    on(ResolvedEvent, rows.follow_events),  # takes customers' locks: the last of the hot ones
    on(AccountsChanged, sections.record_accounts),
    on(ExpiryAnnounced, sections.record_expiring),
    on(TiersChanged, sections.record_tiers),
    on(MembershipsChanged, sections.record_memberships),
    on(MembershipsChanged, tags.follow_segments),
    *(on(contract, sections.record_tickets) for contract in TICKETS),
    *(on(contract, sections.record_redemptions) for contract in sections.REDEMPTIONS),
    on(MessageSent, sections.count_messages),
    on(MessageSuppressed, sections.count_messages),
    on(EnrolmentStarted, sections.record_enrolments),
    on(EnrolmentEnded, sections.record_enrolments),
    on(CustomersMerged, sections.record_mergers),
    *(on(contract, facts.note) for contract in TOLD),
    on(IntakeMeasured, quality.note),
    on(IntakeRejected, quality.note),
    *RECEIPTS,
    on(IdentifiersAssigned, rows.follow_moves),  # the last: see above
)
