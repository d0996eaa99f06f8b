"""Every table of schema `campaigns`, feature by feature."""

from perennial.campaigns.channels.models import Channel
from perennial.campaigns.consents.models import consent
from perennial.campaigns.enrolments.models import Enrolment, EnrolmentStep, RefusedEntry
from perennial.campaigns.facts.models import event, interest, segment_membership, trait
from perennial.campaigns.journeys.models import Journey, JourneyVersion
from perennial.campaigns.messages.models import Message
from perennial.campaigns.metadata import metadata

__all__ = [
    "Channel",
    "Enrolment",
    "EnrolmentStep",
    "Journey",
    "JourneyVersion",
    "Message",
    "RefusedEntry",
    "consent",
    "event",
    "interest",
    "metadata",
    "segment_membership",
    "trait",
]
