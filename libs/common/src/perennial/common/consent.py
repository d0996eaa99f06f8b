"""Events that say what a customer agrees to, and what the gateway notes on those that came by a public key.

Whoever reads a web page has its write key and can say anything of anybody. So the gateway writes into the context of
such events which consents they may give; it never believes what the sender wrote there.
"""

GIVES, WITHDRAWS = "Consent Given", "Consent Withdrawn"
EVENTS = frozenset({"Segment Consent Preference", "Segment Consent Preference Updated", GIVES, WITHDRAWS})

BY_CLIENT = "clientConsent"
PLAIN, SEPARATE = "plain", "separate"  # what may be given; everything may be withdrawn
